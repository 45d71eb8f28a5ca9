"""The serving artifact: trained weights joined with the base encoder, as ONNX; built once, cached by content.

An artifact is a folder:

    manifest.json    what it was built from, and the hash of every other file
    model.onnx       the graph; its weights lie in weights.bin, which processes share through the page cache
    weights.bin
    tokenizer.json
    codebook.yaml
    names.json       the names that are hidden from the network; missing where none are
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from model import weights
from model.calibration import Calibration
from model.codebook import Codebook, load_codebook
from model.encoder_files import find_encoder, sha256_of
from model.errors import ArtifactError, WeightsError
from model.names import NameList
from model.outputs import Floats
from model.quantisation import input_code, quantise_weights

MODEL, DATA, TOKENIZER, NAMES = "model.onnx", "weights.bin", "tokenizer.json", "names.json"
FORMAT = 2
# An artifact that stands beside the rooms wins: so a bento carries its own.
BUNDLED = Path(__file__).resolve().parent.parent / "artifact"


@dataclass(frozen=True)
class Artifact:
    """A checked artifact."""

    folder: Path
    manifest: Mapping[str, Any]
    codebook: Codebook
    calibration: Calibration
    names: NameList | None = None

    @property
    def model_info(self) -> dict[str, Any]:
        """What a reply says of the model that made it."""
        return {
            "name": self.manifest["name"],
            "version": self.manifest["version"],
            "sha256": self.manifest["content"],
            "codebook": {
                "name": self.codebook.name,
                "version": self.codebook.version,
                "sha256": self.codebook.sha256,
            },
        }


def cache_folder() -> Path:
    """Where artifacts are cached: NEWSFRAME_CACHE, or the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "newsframe"
    return Path(os.environ.get("NEWSFRAME_CACHE") or default)


def find_artifact(model: Path | None = None, encoder: Path | None = None) -> Path:
    """Find the artifact to run, and build it into the cache where that was not done yet.

    Args:
        model: An artifact or trained weights; None takes NEWSFRAME_MODEL, the bundled artifact or the shipped weights.
        encoder: A folder with the base encoder; None takes NEWSFRAME_ENCODER or the installed package.

    Raises:
        WeightsError, EncoderError: What it is built from is missing or altered.
    """
    model = model or _path_from_environment("NEWSFRAME_MODEL")
    encoder = encoder or _path_from_environment("NEWSFRAME_ENCODER")
    if model is None and (BUNDLED / weights.MANIFEST).is_file():
        return BUNDLED
    model = model or weights.RELEASE
    return model if _is_artifact(model) else build_artifact(model, encoder)


def _is_artifact(folder: Path) -> bool:
    """Tell an artifact, even a broken one, from trained weights."""
    return any((folder / name).is_file() for name in (MODEL, DATA))


def _path_from_environment(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value) if value else None


def build_artifact(release_folder: Path, encoder: Path | None = None, out: Path | None = None) -> Path:
    """Join trained weights with the base encoder, unless the cache holds the result already.

    Args:
        release_folder: Trained weights, as `newsframe train` writes them.
        encoder: A folder with the base encoder, where it is not installed.
        out: Folder to put a copy into, besides the cache.

    Raises:
        WeightsError, EncoderError: What it is built from is missing or altered.
        ArtifactError: `out` holds something else.
    """
    release = weights.load_release(release_folder)
    key = hashlib.sha256(json.dumps([FORMAT, release.manifest], sort_keys=True).encode()).hexdigest()
    folder = cache_folder() / key[:16]
    cached = (folder / weights.MANIFEST).is_file()
    if encoder or not cached:  # an encoder that somebody names is looked at, even where it is not needed
        encoder_folder = find_encoder(release.encoder, encoder)
    if not cached:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Built beside its place and renamed, so that nobody ever sees half an artifact.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".building-") as building:
            built = Path(building, folder.name)
            built.mkdir()
            write_artifact(release, encoder_folder, built)
            try:
                built.rename(folder)
            except OSError:  # the folder exists by now: another process was faster, with the same content
                if not (folder / weights.MANIFEST).is_file():
                    shutil.rmtree(folder)
                    built.rename(folder)
    if out:
        _copy(folder, out)
    return out or folder


def write_artifact(release: weights.Release, encoder_folder: Path, folder: Path) -> None:
    """Join a release with its base encoder into an existing, empty folder; see `build_artifact`."""
    tensors = weights.unpack_weights(release, encoder_folder)
    activations = load_file(release.folder / weights.ACTIVATIONS)
    layout = json.loads((release.folder / weights.LAYOUT).read_text(encoding="utf-8"))
    with (folder / DATA).open("wb") as file:
        for entry in layout["tensors"]:
            if entry.get("name") not in {None, *tensors}:
                raise WeightsError(
                    f"{release.folder}: expected the weight {entry['name']}, but found none. Train again."
                )
            tensor = _in_form(entry, tensors, activations)
            file.seek(entry["offset"])
            file.write(np.ascontiguousarray(tensor, dtype=tensor.dtype.newbyteorder("<")).tobytes())
        file.truncate(layout["size"])
    shutil.copyfile(release.folder / weights.GRAPH, folder / MODEL)
    shutil.copyfile(release.folder / weights.CODEBOOK, folder / weights.CODEBOOK)
    shutil.copyfile(encoder_folder / TOKENIZER, folder / TOKENIZER)
    files = {name: sha256_of(folder / name) for name in (MODEL, DATA, TOKENIZER, weights.CODEBOOK)}
    if names := release.load_names():
        (folder / NAMES).write_text(json.dumps(names.data, ensure_ascii=False), encoding="utf-8")
        files[NAMES] = sha256_of(folder / NAMES)
    manifest = {
        "format": FORMAT,
        "name": release.manifest["name"],
        "version": release.manifest["version"],
        "max_tokens": release.manifest["config"]["max_tokens"],
        "calibration": release.manifest["calibration"],
        "files": files,
        "content": _content(files, release.manifest["calibration"]),
    }
    (folder / weights.MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _in_form(
    entry: Mapping[str, Any], tensors: Mapping[str, Floats], activations: Mapping[str, NDArray[Any]]
) -> NDArray[Any]:
    """Give a tensor of the weights file the form that the layout says; see `model.weights`."""
    form = entry["form"]
    if form == weights.AS_IT_IS:
        return tensors[entry["name"]]
    if form == weights.TRANSPOSED:
        return tensors[entry["name"]].T
    code = input_code(activations, entry["input"])
    if form == weights.SHRINK:
        return np.float32(1.0) / code.smooth
    if form == weights.INPUT_SCALE:
        return code.scale
    if form == weights.ZERO_POINT:
        return code.zero_point
    codes, scales = quantise_weights(tensors[entry["name"]], code.smooth)
    return codes if form == weights.CODES else scales


def _content(files: Mapping[str, str], calibration: Mapping[str, Any]) -> str:
    """Hash of all that decides on the labels."""
    return hashlib.sha256(json.dumps([files, calibration]).encode()).hexdigest()


def _copy(folder: Path, out: Path) -> None:
    if out.exists() and not (out / MODEL).is_file() and (out.is_file() or any(out.iterdir())):
        raise ArtifactError(
            f"{out}: expected an empty folder or an artifact, but found other files. Choose another --out."
        )
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(folder, out)


def load_artifact(folder: Path) -> Artifact:
    """Read an artifact and check every file's hash.

    Raises:
        ArtifactError: A file is missing, truncated or altered; the message names both hashes.
    """
    remedy = "Remove the folder and run `newsframe build`"
    try:
        manifest = json.loads((folder / weights.MANIFEST).read_text(encoding="utf-8"))
        content, files, *_ = (manifest[key] for key in ("content", "files", "name", "version", "max_tokens"))
        calibration = Calibration.from_dict(manifest["calibration"])
    except OSError:
        raise ArtifactError(
            f"{folder}: expected a serving artifact, but found no {weights.MANIFEST}. {remedy}."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise ArtifactError(
            f"{folder / weights.MANIFEST}: expected a manifest, but found other content. {remedy}."
        ) from None
    actual = _content(files, manifest["calibration"])
    if actual != content:
        raise ArtifactError(
            f"{folder / weights.MANIFEST}: expected content {content:.12}…, but found {actual[:12]}…. {remedy}."
        )
    for name, expected in files.items():
        path = folder / name
        found = sha256_of(path) if path.is_file() else None
        if found != expected:
            shown = f"{found[:12]}…" if found else "no such file"
            raise ArtifactError(f"{path}: expected sha256 {expected[:12]}…, but found {shown}. {remedy}.")
    names = NameList(folder / NAMES) if NAMES in files else None
    return Artifact(folder, manifest, load_codebook(folder / weights.CODEBOOK), calibration, names)
