"""What `newsframe classify` can be given: texts, files, folders and standard input."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from model.errors import RecordError
from model.jsonl import Line, read_lines
from model.labeller import MAX_DOCUMENT_CHARACTERS

STDIN = "-"
AUTO, TEXT, HTML, JSONL = "auto", "text", "html", "jsonl"
FORMATS = (AUTO, TEXT, HTML, JSONL)
_SUFFIXES = {".jsonl": JSONL, ".ndjson": JSONL, ".html": HTML, ".htm": HTML, ".txt": TEXT, ".md": TEXT}


@dataclass(frozen=True)
class DocumentInput:
    """An article to segment and label, `{"id", "text" or "html"}`, from the source of that name."""

    name: str
    record: dict[str, Any]


@dataclass(frozen=True)
class LineInput:
    """A line of JSON Lines from the source of that name."""

    name: str
    line: Line


Input = DocumentInput | LineInput


def read_inputs(arguments: tuple[str, ...], input_format: str) -> Iterator[Input | RecordError]:
    """Read every argument: standard input (`-`), a folder, a file, or else the text itself.

    What cannot be read comes as an error in its place; the others are read all the same.
    """
    for number, argument in enumerate(arguments, 1):
        try:
            yield from _read_argument(argument, number, input_format)
        except RecordError as error:
            yield error


def _read_argument(argument: str, number: int, input_format: str) -> Iterator[Input | RecordError]:
    if argument == STDIN:
        yield from _read_stream(sys.stdin.buffer, "stdin", input_format, "stdin")
        return
    path = Path(argument)
    if not argument or not _exists(path):  # the path of an empty text would be this folder
        if _looks_like_path(argument):
            raise RecordError(f"{argument}: expected a file, but found none. Check the path, or put a text in quotes.")
        yield DocumentInput(f"text{number}", {"id": f"text{number}", "text": argument})
        return
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
        if not files:
            raise RecordError(f"{path}: expected a folder with {', '.join(sorted(_SUFFIXES))} files, but found none.")
    for file in files:
        try:
            with file.open("rb") as stream:
                chosen = _SUFFIXES.get(file.suffix.lower(), AUTO) if input_format == AUTO else input_format
                # In a folder two files may share a stem; alone, a file is called by it.
                identifier = str(file.relative_to(path)) if path.is_dir() else file.stem
                yield from _read_stream(stream, str(file), chosen, identifier)
        except OSError as error:
            yield RecordError(f"{file}: expected a file that can be read, but found: {error.strerror}. Check it.")
        except RecordError as error:
            yield error


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a long text is no file name, nor one with NUL
        return False


def _looks_like_path(argument: str) -> bool:
    """Tell whether one word is meant as a file: it ends as files do, or holds a separator."""
    return len(argument.split()) == 1 and (
        re.search(r"\w\.[A-Za-z]\w{0,7}$", argument) is not None or "/" in argument or "\\" in argument
    )


def _read_stream(stream: BinaryIO, name: str, input_format: str, identifier: str) -> Iterator[Input | RecordError]:
    lines: Iterator[bytes] = iter(stream)
    if input_format == AUTO:
        first = next(lines, b"")
        lines = chain([first], lines)
        input_format = _guess(first.lstrip(b"\xef\xbb\xbf \t").lower())
    if input_format == JSONL:
        for line in read_lines(lines, name):
            yield LineInput(name, line)
        return
    yield DocumentInput(name, {"id": identifier, input_format: _decode(b"".join(lines), name)})


def _guess(first_line: bytes) -> str:
    if first_line.startswith(b"{"):
        return JSONL
    return HTML if first_line.startswith((b"<!doctype html", b"<html")) else TEXT


def _decode(raw: bytes, name: str) -> str:
    """Decode a text, line ends kept, so that offsets count in the file as it is."""
    if len(raw) > 4 * MAX_DOCUMENT_CHARACTERS:
        raise RecordError(
            f"{name}: expected at most {MAX_DOCUMENT_CHARACTERS} characters an article, but found {len(raw)} bytes. "
            "Split the file, or give its articles as JSON Lines."
        )
    if b"\x00" in raw[:8192]:
        raise RecordError(f"{name}: expected a text, but found a binary file. Convert it to UTF-8 text.")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RecordError(
            f"{name}:{line}: expected UTF-8 text, but found byte 0x{raw[error.start]:02x} at offset {error.start}. "
            "Convert the file to UTF-8."
        ) from None
