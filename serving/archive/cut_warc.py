"""WARC files cut into records, going on at the next one after what is broken.

Source: ISO 28500:2017, "WARC file format".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from serving.archive.formats import GZIP, MAX_RECORD_BYTES
from serving.archive.read_records import TOO_LONG
from serving.archive.streams import BLOCK, BoundedFile, Stream, gzip_begins

LONGEST_LINE = 1 << 16
_MAGIC = b"WARC/"
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d+)[ \t\r]*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class CutRecord:
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


def cut_records(file: BoundedFile, compression: str) -> Iterator[CutRecord]:
    """Cut a file into records, going on after damaged gzip members."""
    begin: int | None = 0
    while begin is not None:
        file.seek(begin)
        tape = _Tape(Stream(file, compression), begin)
        yield from tape.cut()
        if not tape.problem:
            return
        where = tape.place()
        begin = gzip_begins(file, where + 1, _MAGIC) if compression == GZIP else None
        yield CutRecord(where, b"", problem=f"expected whole records, but found {tape.problem}. Fetch the file anew.")


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

    def place(self, read: int | None = None) -> int:
        """Where in the file it begins what was read after so many bytes; None for what is read now."""
        read = self._read if read is None else read
        inside = self._stream.member_at(read)
        return self._begin + read if inside is None else inside

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
        line = self._stream.readline(LONGEST_LINE)
        self._read += len(line)
        return line

    def put_back(self, data: bytes) -> None:
        self._back = data + self._back
        self._read -= len(data)

    def cut(self) -> Iterator[CutRecord]:
        """Cut the tape into records."""
        while True:
            # A member is known only once some of it is read.
            before, line = self._read, self.line()
            offset = self.place(before)
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

    def _junk(self, offset: int, first: bytes, problem: str) -> CutRecord:
        """Pass over everything up to the next line that begins a record."""
        length, line = len(first), b""
        while (line := self.line()) and not line.startswith(_MAGIC):
            length += len(line)
        self.put_back(line)
        return CutRecord(offset, first, problem=f"{problem}. Fetch the file anew.")

    def _record(self, offset: int, line: bytes) -> CutRecord | None:
        """Cut one record; None if the tape breaks off within it for a reason of the file's."""
        head = line
        while (line := self.line()).strip() and len(head) < LONGEST_LINE:
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
            return CutRecord(offset, head, problem=f"{TOO_LONG} {length}. Leave it out.")
        content = self.read(length)
        ending = b"" if len(content) < length else self.line()
        if len(content) == length and not ending.strip():
            return CutRecord(offset, head, content)
        if self.problem and len(content) < length and _MAGIC not in content:
            return None
        # The length is wrong: the next record may lie within what was taken for this one.
        self.put_back(ending)
        within = re.search(rb"\r?\n\r?\nWARC/1", content)
        if within:
            self.put_back(content[within.start() :])
            content = content[: within.start()]
        elif len(content) == length:
            return self._junk(offset, head + content[:LONGEST_LINE], _wrong_length(length, "more"))
        return CutRecord(offset, head, content, f"{_wrong_length(length, str(len(content)))}. Fetch the file anew.")


def _wrong_length(stated: int, found: str) -> str:
    return f"expected a record of {stated} bytes as its header states, but found {found}"
