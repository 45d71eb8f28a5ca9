"""WARC, the archives of web crawlers: each page captured is a document, with where and when it was captured.

Source: ISO 28500:2017, "WARC file format".
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from model.article import looks_like_html
from serving.archive.formats import GZIP, MAX_RECORD_BYTES
from serving.archive.items import Deferred, Item, reject
from serving.archive.read_pages import decode_page
from serving.archive.read_records import TOO_LONG
from serving.archive.streams import BLOCK, BoundedFile, Stream, gzip_begins

# Types of records that hold what was at an address. Others hold requests, notes on the crawl, or that a page was
# found as it had been before: they are passed over.
_PAGES = frozenset({"response", "resource", "conversion"})
_GOOD = frozenset({"200", "203"})
_MARKUP = frozenset({"text/html", "application/xhtml+xml"})
_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate", "br"})
_MAGIC = b"WARC/"
_LONGEST_LINE = 1 << 16
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d+)[ \t\r]*$", re.IGNORECASE | re.MULTILINE)
_TYPE = re.compile(rb"^warc-type:[ \t]*(\w+)", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(rb"^warc-target-uri:[ \t]*<?([^\s>]+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class _Cut:
    """One record as bytes, or what is wrong with it.

    Attributes:
        offset: Where it begins in the file, in bytes; of compressed records, where its gzip member does.
        head: Its header lines.
        content: What follows them.
    """

    offset: int
    head: bytes
    content: bytes = b""
    problem: str = ""


def read_captures(file: BoundedFile, path: str, compression: str) -> Iterator[Deferred]:
    """Read the pages of a WARC file.

    A capture that is no page, such as a picture or an error of the server, is a reject that is marked as skipped.
    A broken record costs itself: reading goes on at the next one.
    """
    for cut in _cut_file(file, compression):
        kind = _TYPE.search(cut.head)
        if not cut.problem and (not kind or kind[1].decode().lower() not in _PAGES):
            continue
        address = _ADDRESS.search(cut.head)
        place = f"{path}@{cut.offset}" + (f" <{address[1].decode('utf-8', 'replace')}>" if address else "")
        if cut.problem:
            yield partial(reject, place, cut.problem, cut.head + cut.content[:_LONGEST_LINE])
        else:
            yield partial(_capture, cut, place)


def _capture(cut: _Cut, place: str) -> Item:
    """Make an item of a whole record."""
    from warcio.archiveiterator import WARCIterator
    from warcio.exceptions import ArchiveLoadFailed

    whole = cut.head + cut.content
    try:
        record = next(iter(WARCIterator(io.BytesIO(whole + b"\r\n\r\n"))))
    except (ArchiveLoadFailed, ValueError, EOFError, StopIteration) as error:
        return reject(place, f"expected a record with its headers, but found an error: {str(error)[:200]}. Capture it anew.", whole)
    return _page_of(record, whole, place)


def _page_of(record: Any, whole: bytes, place: str) -> Item:
    http, head = record.http_headers, record.rec_headers
    if http and http.get_statuscode() not in _GOOD:
        return _skip(place, f"the answer {http.get_statuscode() or 'of no status'}", whole)
    media = (http or head).get_header("Content-Type") or ""
    encoding = ((http.get_header("Content-Encoding") if http else "") or "").strip().lower()
    kind = media.partition(";")[0].strip().lower()
    if kind and kind not in _MARKUP and kind != "text/plain":
        return _skip(place, kind, whole)
    if encoding not in _ENCODINGS:
        return reject(place, f"expected a page, but found it encoded as {encoding!r:.40}. Capture it anew.", whole)
    raw = _read_bounded(record.content_stream())
    if len(raw) > MAX_RECORD_BYTES:
        return reject(place, f"{TOO_LONG} more once decompressed. Leave it out.", whole)
    charset = re.search(r"charset\s*=\s*([^\s;]+)", media, re.IGNORECASE)
    try:
        text = decode_page(raw, charset[1] if charset else "")
    except ValueError as error:
        return reject(place, f"expected a page, but found {error}. Capture it anew.", whole)
    if not text.strip():
        return _skip(place, "an empty page", whole)
    if not kind and not looks_like_html(text):
        return _skip(place, "content of no stated kind", whole)
    identifier = (head.get_header("WARC-Record-ID") or place).strip("<>")
    fields = {
        "id": identifier,
        "text" if kind == "text/plain" else "html": text,
        "url": (head.get_header("WARC-Target-URI") or "").strip("<>"),
        "warc_date": head.get_header("WARC-Date"),
    }
    return Item(place, {name: value for name, value in fields.items() if value})


def _skip(place: str, found: str, whole: bytes) -> Item:
    return reject(place, f"expected a page of text, but found {found}. Nothing to do.", whole, skipped=True)


def _read_bounded(stream: Any) -> bytes:
    """Read a stream that may give less than it is asked for, and may unpack to any size."""
    parts, length = [], 0
    while length <= MAX_RECORD_BYTES and (part := stream.read(BLOCK)):
        parts.append(part)
        length += len(part)
    return b"".join(parts)


def _cut_file(file: BoundedFile, compression: str) -> Iterator[_Cut]:
    """Cut a file into records, going on after damaged gzip members."""
    begin: int | None = 0
    while begin is not None:
        file.seek(begin)
        tape = _Tape(Stream(file, compression), begin)
        yield from tape.cut()
        if not tape.problem:
            return
        where = tape.member()
        begin = gzip_begins(file, where + 1, _MAGIC) if compression == GZIP else None
        yield _Cut(where, b"", problem=f"expected whole records, but found {tape.problem}. Fetch the file anew.")


class _Tape:
    """Bytes that are read once, and of which some can be put back."""

    def __init__(self, stream: Stream, begin: int) -> None:
        self._stream = stream
        self._begin = begin
        self._back = b""
        self._read = 0  # bytes taken and not put back

    @property
    def problem(self) -> str:
        return self._stream.problem

    def member(self) -> int:
        """Where what is read now begins in the file."""
        inside = self._stream.member_at(self._read)
        return self._begin + self._read if inside is None else inside

    def read(self, length: int) -> bytes:
        taken, self._back = self._back[:length], self._back[length:]
        if len(taken) < length:
            taken += self._stream.read(length - len(taken))
        self._read += len(taken)
        return taken

    def line(self) -> bytes:
        end = self._back.find(b"\n") + 1
        if end:
            return self.read(end)
        return self.read(len(self._back)) + self._line_of_stream()

    def _line_of_stream(self) -> bytes:
        line = self._stream.readline(_LONGEST_LINE)
        self._read += len(line)
        return line

    def put_back(self, data: bytes) -> None:
        self._back = data + self._back
        self._read -= len(data)

    def cut(self) -> Iterator[_Cut]:
        """Cut the tape into records."""
        while True:
            offset, line = self.member(), self.line()
            if not line:
                return
            if not line.strip():
                continue
            if not line.startswith(_MAGIC):
                expected = f"expected a record that begins with {_MAGIC.decode()}"
                yield self._junk(offset, line, f"{expected}, but found other bytes")
                continue
            cut = self._record(offset, line)
            if cut is not None:
                yield cut

    def _junk(self, offset: int, first: bytes, problem: str) -> _Cut:
        """Pass over everything up to the next line that begins a record."""
        length, line = len(first), b""
        while (line := self.line()) and not line.startswith(_MAGIC):
            length += len(line)
        self.put_back(line)
        return _Cut(offset, first, problem=f"{problem}. Fetch the file anew.")

    def _record(self, offset: int, line: bytes) -> _Cut | None:
        """Cut one record; None if the tape breaks off within it for a reason of the file's."""
        head = line
        while (line := self.line()).strip() and len(head) < _LONGEST_LINE:
            head += line
        head += line
        stated = _LENGTH.search(head)
        if not stated:
            return self._junk(offset, head, "expected a header with Content-Length, but found none")
        length = int(stated[1])
        if length > MAX_RECORD_BYTES:
            left = length
            while left and (part := self.read(min(left, BLOCK))):
                left -= len(part)
            return _Cut(offset, head, problem=f"{TOO_LONG} {length}. Leave it out.")
        content = self.read(length)
        ending = b"" if len(content) < length else self.line()
        if len(content) == length and not ending.strip():
            return _Cut(offset, head, content)
        if self.problem and len(content) < length and _MAGIC not in content:
            return None
        # The length is wrong: the next record may lie within what was taken for this one.
        self.put_back(ending)
        within = re.search(rb"\r?\n\r?\nWARC/1", content)
        if within:
            self.put_back(content[within.start() :])
            content = content[: within.start()]
        elif len(content) == length:
            return self._junk(offset, head + content[:_LONGEST_LINE], _wrong_length(length, "more"))
        return _Cut(offset, head, content, f"{_wrong_length(length, str(len(content)))}. Fetch the file anew.")


def _wrong_length(stated: int, found: str) -> str:
    return f"expected a record of {stated} bytes as its header states, but found {found}"
