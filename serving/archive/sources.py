"""Finding what an archive consists of: files, folders and globs, each file with its format, size and hash."""

import glob
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.archive.errors import ArchiveError
from serving.archive.formats import AUTO, COMPRESSIONS, FORMATS, JSON, NEVER_COMPRESSED, NINJS, SUFFIXES
from serving.archive.tables import MANIFEST_FILE, RUN_FILE

_SNIFFED = 1 << 16
_HASHED = 1 << 20


@dataclass(frozen=True)
class Source:
    """One input file, as it was when it was found.

    Attributes:
        path: As given or found, with forward slashes.
        format: One of FORMATS.
        compression: "gzip", "zstd" or "".
        size: Bytes that count; what is appended later does not.
        sha256: Of those bytes, in hexadecimal; "" if the file could not be read.
    """

    path: str
    format: str
    compression: str
    size: int
    sha256: str


def find_sources(inputs: Sequence[str], input_format: str = AUTO) -> list[Source]:
    """Find the input files of an archive.

    Args:
        inputs: Files, folders (searched to their ends for known suffixes) or globs (`**` for any depth). Hidden files
            of a folder are passed over, and what lies in the results of any run; a file that is named is taken.
        input_format: One of FORMATS for all of them, whatever their names; "auto" tells it from each name, and the
            kind of a JSON file from its beginning.

    Returns:
        Each file once, in the order of the inputs and sorted within each.

    Raises:
        ArchiveError: An input is not there or of no known format, or there is no file in any of them.
    """
    if input_format not in (AUTO, *FORMATS):
        raise ArchiveError(
            f"input format: expected one of {[AUTO, *sorted(FORMATS)]}, but found {input_format!r}. Choose one of them."
        )
    found: dict[Path, Path] = {}
    results = _Results()
    for name in inputs:
        for path in _find(name, input_format, results):
            found.setdefault(path.resolve(), path)
    if not found:
        looked = ", ".join(repr(name) for name in inputs) or "no input at all"
        raise ArchiveError(
            f"inputs: expected files that end in {_suffixes()}, but found none in {looked}. Check the path, or say "
            "what the files are with --input-format."
        )
    return [_source(path, input_format) for path in found.values()]


class _Results:
    """Tells which folders runs wrote, or were writing when they stopped: they are no inputs of another run."""

    def __init__(self) -> None:
        self._known: dict[Path, bool] = {}

    def are(self, folder: Path) -> bool:
        """Tell whether a folder is that of a run; either of its two files may be missing."""
        if folder not in self._known:
            # Either file may name very many inputs, and each match of a glob asks for all folders that it lies in.
            self._known[folder] = any(_states_a_run(folder / name) for name in (RUN_FILE, MANIFEST_FILE))
        return self._known[folder]

    def hold(self, path: Path) -> bool:
        """Tell whether a file or folder lies in that of a run, at any depth."""
        return any(self.are(folder) for folder in path.resolve().parents)


def _find(name: str, input_format: str, results: _Results) -> Iterator[Path]:
    path = Path(name)
    if path.is_dir():
        if not results.hold(path):
            yield from _walk(path, input_format, results)
    elif path.is_file():
        _format(path, input_format)  # refuses a file of an unknown kind that was asked for by name
        yield path
    elif re.search(r"[*?\[]", name):
        for match in sorted(glob.iglob(name, recursive=True)):  # noqa: PTH207 - Path.glob takes no absolute pattern
            inner = Path(match)
            if inner.is_file() and _is_wanted(inner, input_format) and not results.hold(inner):
                yield inner
    else:
        found = "something that is no file" if path.exists() else "nothing there"
        raise ArchiveError(f"{name}: expected a file, a folder or a glob, but found {found}. Check the path.")


def _walk(folder: Path, input_format: str, results: _Results) -> Iterator[Path]:
    """Yield the files of a folder in a stable order: by name, a folder's where its name stands."""
    if results.are(folder.resolve()):
        return
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            # A link to a folder may lead round in a circle.
            if not path.is_symlink():
                yield from _walk(path, input_format, results)
        elif _is_wanted(path, input_format):
            yield path


def _states_a_run(path: Path) -> bool:
    """Tell a file that says what a run was from one of the same name that somebody else wrote."""
    if not path.is_file():
        return False
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"inputs", "model", "options"} <= content.keys()


def _split(path: Path) -> tuple[str, str]:
    """Take the suffix that tells the format, and the compression that the suffix after it tells."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = COMPRESSIONS.get(suffixes[-1], "") if suffixes else ""
    if compression:
        suffixes.pop()
    return (suffixes[-1] if suffixes else ""), compression


def _is_wanted(path: Path, input_format: str) -> bool:
    suffix, compression = _split(path)
    known = suffix in SUFFIXES and not (compression and SUFFIXES[suffix] in NEVER_COMPRESSED)
    if input_format == AUTO:
        return known
    # Told what the files are, take those that no suffix contradicts.
    return not (known and SUFFIXES[suffix] != input_format and {SUFFIXES[suffix], input_format} != {JSON, NINJS})


def _format(path: Path, input_format: str) -> tuple[str, str]:
    suffix, compression = _split(path)
    if input_format != AUTO:
        return input_format, compression
    if suffix not in SUFFIXES or (compression and SUFFIXES[suffix] in NEVER_COMPRESSED):
        found = "".join(path.suffixes[-2:]) or "no suffix"
        raise ArchiveError(
            f"{path}: expected a file that ends in {_suffixes()}, but found {found}. Rename it, or say what it is "
            "with --input-format."
        )
    return SUFFIXES[suffix], compression


def _suffixes() -> str:
    names = [*sorted(SUFFIXES)]
    return f"{', '.join(names)} (all but .parquet also {' or '.join(sorted(COMPRESSIONS))})"


def _source(path: Path, input_format: str) -> Source:
    name, compression = _format(path, input_format)
    digest, size, first = hashlib.sha256(), 0, b""
    try:
        with path.open("rb") as file:
            while block := file.read(_HASHED):
                first = first or block[:_SNIFFED]
                digest.update(block)
                size += len(block)
    except OSError:
        # Reading it will tell why; the other files are read all the same.
        return Source(path.as_posix(), name, compression, 0, "")
    if name == JSON and not compression:
        name = _kind_of_json(first)
    return Source(path.as_posix(), name, compression, size, digest.hexdigest())


def _kind_of_json(first: bytes) -> str:
    """Tell a file of news items by the fields that only those have; every other one is of plain records."""
    items = re.search(rb'"\$?standard"\s*:\s*\{[^}]*ninjs|"(?:bodies|headlines|versioncreated|body_\w+)"\s*:', first)
    return NINJS if items and re.search(rb'"uri"\s*:', first) else JSON
