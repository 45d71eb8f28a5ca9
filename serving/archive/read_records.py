"""JSON Lines, and JSON files of one record or many, each read by itself: a bad one costs itself alone."""

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from model.jsonl import loads
from serving.archive.formats import MAX_RECORD_BYTES, ReadOptions
from serving.archive.items import Deferred, Item, reject, to_item
from serving.archive.read_ninjs import is_news_item, read_news_item
from serving.archive.streams import BLOCK, RawLine, Stream, cut_lines

TOO_LONG = f"expected a record of at most {MAX_RECORD_BYTES} bytes, but found"
# What can begin or end something in JSON; between two of these, nothing matters for where a record ends. A string
# cannot go on past a line end: there a quote too many is noticed, and costs what stands before and no more.
_MARKS = re.compile(rb'["{}\[\]\n\\]')
_BETWEEN = b" \t\r\n,\x00"


def read_lines(stream: Stream, path: str, options: ReadOptions) -> Iterator[Deferred]:
    """Read JSON Lines; blank lines are passed over."""
    for line in cut_lines(stream):
        if line.data.strip():
            yield partial(_read_line, line, f"{path}:{line.number}", options)


def _read_line(line: RawLine, place: str, options: ReadOptions) -> Item:
    if line.too_long:
        return reject(place, f"{TOO_LONG} {line.length}. Split it.", line.data)
    return read_value(line.data.rstrip(b"\r\n"), place, options)


def read_value(raw: bytes, place: str, options: ReadOptions) -> Item:
    """Read the JSON of one record."""
    try:
        value = loads(raw.decode(options.encoding))
    except UnicodeDecodeError as error:
        return reject(place, bad_encoding(raw, error, options), raw)
    except (ValueError, RecursionError) as error:
        found = "deep nesting" if isinstance(error, RecursionError) else "a number out of range"
        if isinstance(error, json.JSONDecodeError):
            found = f"{error.msg} at character {error.pos + 1}"
        return reject(place, f"expected one JSON object, but found an error: {found}. Correct the record.", raw)
    if not isinstance(value, dict):
        return reject(place, f'expected one JSON object, but found {type(value).__name__}. Write {{"text": …}}.', raw)
    # Only an escape can make half of a character, which no other format can hold.
    if b"\\u" in raw and (half := _half_character(value)):
        return reject(place, f"expected Unicode text, but found a lone surrogate in {half!r:.80}. Remove it.", raw)
    if is_news_item(value, options):
        return read_news_item(value, place, options)
    return to_item(value, place, options, raw)


def bad_encoding(raw: bytes, error: UnicodeDecodeError, options: ReadOptions) -> str:
    """Say where bytes are no text of the encoding that was expected."""
    found = f"byte 0x{raw[error.start]:02x} at column {error.start + 1}"
    return f"expected {options.encoding.upper()} text, but found {found}. Convert the file, or name its encoding."


def _half_character(value: Any) -> str:
    """Find the first key or string that holds a lone surrogate; "" if there is none."""
    todo = [value]
    while todo:
        inner = todo.pop()
        if isinstance(inner, dict):
            todo += [*inner, *inner.values()]
        elif isinstance(inner, list):
            todo += inner
        elif isinstance(inner, str):
            try:
                inner.encode()
            except UnicodeEncodeError:
                return inner.encode("utf-8", "backslashreplace").decode()
    return ""


def read_json(stream: Stream, path: str, options: ReadOptions) -> Iterator[Deferred]:
    """Read a JSON file of one object, an array of objects, or objects one after the other."""
    for number, (raw, length) in enumerate(_cut_objects(stream), 1):
        place = f"{path}:item {number}"
        if length > MAX_RECORD_BYTES:
            yield partial(reject, place, f"{TOO_LONG} {length}. Split it.", raw)
        else:
            yield partial(read_value, raw, place, options)


def _cut_objects(stream: Stream) -> Iterator[tuple[bytes, int]]:
    """Cut a stream into the objects that stand at its top or in the array around them.

    What stands between objects and is no comma comes as a piece of its own, for its reading to fail.

    Yields:
        The bytes of a piece, or the beginning of one that is too long, and its length.
    """
    piece = _Piece()
    depth, in_string, in_array, first = 0, False, False, True
    while block := stream.read(BLOCK):
        while block.endswith(b"\\") and (more := stream.read(1)):
            block += more  # an escape is not torn in two
        if first:
            block = block.removeprefix(b"\xef\xbb\xbf").lstrip()
            first = not block
            in_array = block.startswith(b"[")
            block = block.removeprefix(b"[")
        cut, escaped = 0, -1  # the block is in pieces up to here; what stands at this place is escaped
        for mark in _MARKS.finditer(block):
            at, kind = mark.start(), mark.group()
            if at == escaped:
                continue
            if kind == b"\\":
                escaped = at + 1
            elif kind == b'"':
                in_string = not in_string
            elif in_string and kind == b"\n":
                piece.add(block[cut : at + 1])
                yield piece.take()
                depth, in_string, cut = 0, False, at + 1
            elif in_string or kind not in b"{[}]":
                continue
            elif kind in b"{[":
                if not depth:
                    piece.add(block[cut:at])
                    yield from piece.between()
                    cut = at
                depth += 1
            elif depth:
                depth -= 1
                if not depth:
                    piece.add(block[cut : at + 1])
                    yield piece.take()
                    cut = at + 1
            elif in_array and kind == b"]":
                piece.add(block[cut:at])
                yield from piece.between()
                cut, in_array = at + 1, False
        piece.add(block[cut:])
    if not stream.problem:
        yield from piece.between()


class _Piece:
    """Bytes gathered up to the limit of a record, and the count of all that there were."""

    def __init__(self) -> None:
        self._held, self._length = bytearray(), 0

    def add(self, part: bytes) -> None:
        self._held += part[: max(0, MAX_RECORD_BYTES + 1 - len(self._held))]
        self._length += len(part)

    def take(self) -> tuple[bytes, int]:
        taken = bytes(self._held), self._length
        self._held, self._length = bytearray(), 0
        return taken

    def between(self) -> Iterator[tuple[bytes, int]]:
        """Take what stands between two objects, and yield it if it is anything."""
        taken = self.take()
        if taken[0].strip(_BETWEEN):
            yield taken
