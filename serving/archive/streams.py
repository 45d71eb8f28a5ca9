"""Bytes of an input file as it was when it was found: bounded, decompressed, and cut into lines.

What is wrong with a stream is kept as its `problem` instead of raised, so that all that is whole is read first.
"""

import io
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from serving.archive.formats import GZIP, MAX_RECORD_BYTES
from serving.archive.sources import Source

BLOCK = 1 << 18
_GZIP_MAGIC = b"\x1f\x8b\x08"
_LOOKED_BACK = 2 * MAX_RECORD_BYTES  # how far back the beginnings of members are known
_GZIP_HEAD = 1 << 10  # bytes of a member that are sure to hold the first few of its content
_GZIP_WINDOW = 31  # 15 bits of window, and the gzip header around it: zlib's convention


class BoundedFile(io.RawIOBase):
    """The first `size` bytes of a file, whatever is appended to it meanwhile."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size
        self._at = 0
        self.problem = ""

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is: some formats are read by place."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move within the bytes that count."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = self._file.seek(max(0, start + offset))
        return self._at

    def tell(self) -> int:
        """Return the place, in bytes from the start."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read on, to the size at most; note where a file that shrank ends."""
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self.size - self._at)
        if wanted <= 0:
            return 0
        try:
            block = self._file.read(wanted)
        except OSError as error:
            self.problem = f"{error.strerror} at byte {self._at}"
            return 0
        if not block:
            self.problem = f"only {self._at} of the {self.size} bytes that it had"
        view[: len(block)] = block
        self._at += len(block)
        return len(block)


class _Member(Protocol):
    """One gzip member or zstd frame, decompressed so many bytes at a time; it keeps the input that it has not used."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _GzipMember:
    """A gzip member; of damaged data, it gives every byte before the damage."""

    def __init__(self) -> None:
        self._state = zlib.decompressobj(_GZIP_WINDOW)
        self._tail = b""

    @property
    def eof(self) -> bool:
        return self._state.eof

    @property
    def needs_input(self) -> bool:
        return not self._tail

    @property
    def unused_data(self) -> bytes:
        return self._state.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        data = self._tail + data
        while True:
            before = self._state.copy()
            try:
                piece = self._state.decompress(data, max_length)
            except zlib.error:
                # A call that fails gives nothing of what it had: go back, and ask for less.
                self._state, max_length = before, max_length // 2
                if not max_length:
                    raise
                continue
            self._tail = self._state.unconsumed_tail
            return piece


class Decompressed(io.RawIOBase):
    """A gzip or zstd file of any number of members or frames, decompressed a bounded piece at a time.

    It ends where the file is cut off or damaged; `problem` then says how.
    """

    def __init__(self, file: BoundedFile, compression: str) -> None:
        self._file = file
        self._compression = compression
        self._member: _Member | None = None
        self._input = b""
        self._given = 0  # decompressed bytes so far
        self._starts: deque[tuple[int, int]] = deque()  # of members: first decompressed byte, first byte in the file
        self.problem = ""
        from backports.zstd import ZstdDecompressor, ZstdError

        self._new_member: type[_Member] = _GzipMember if compression == GZIP else ZstdDecompressor
        self._errors = (zlib.error, ZstdError)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Decompress on."""
        view = memoryview(buffer).cast("B")
        while not self.problem:
            if self._member is None:
                # Zeros after a member are padding, as tapes and file systems leave it.
                self._input = self._input.lstrip(b"\x00") or self._fill()
                if not self._input:
                    self.problem = self._file.problem
                    return 0
                if not self._input.strip(b"\x00"):
                    continue
                self._member = self._new_member()
                self._starts.append((self._given, self._file.tell() - len(self._input)))
                while self._starts[0][0] < self._given - _LOOKED_BACK and len(self._starts) > 1:
                    self._starts.popleft()
            data, self._input = self._input, b""
            at_end = False
            if not data and self._member.needs_input:
                data = self._fill()
                at_end = not data
            try:
                piece = self._member.decompress(data, len(view))
            except self._errors as error:
                kind = str(error).partition(": ")[2] or str(error)
                self.problem = f"damaged {self._compression} data before byte {self._file.tell()} ({kind[:80]})"
                return 0
            if self._member.eof:
                self._input, self._member = self._member.unused_data, None
            elif at_end and not piece:
                end = f"{self._compression} data cut off at byte {self._file.tell()}"
                self.problem = self._file.problem or end
            if piece:
                view[: len(piece)] = piece
                self._given += len(piece)
                return len(piece)
        return 0

    def member_at(self, place: int) -> int:
        """Return where the member begins in the file that holds a decompressed byte, one of the last few records'."""
        return next((inside for start, inside in reversed(self._starts) if start <= place), 0)

    def _fill(self) -> bytes:
        return self._file.read(BLOCK) or b""


class Stream(io.BufferedReader):
    """The decompressed bytes of a source."""

    def __init__(self, file: BoundedFile, compression: str) -> None:
        self._bytes = Decompressed(file, compression) if compression else file
        super().__init__(self._bytes, BLOCK)

    @property
    def problem(self) -> str:
        """What it broke off with: known once it is read to its end; "" if with nothing."""
        return self._bytes.problem

    def member_at(self, place: int) -> int | None:
        """Return where the compressed member of a byte begins in the file; None if nothing is compressed."""
        return self._bytes.member_at(place) if isinstance(self._bytes, Decompressed) else None


def gzip_begins(file: BoundedFile, after: int, magic: bytes) -> int | None:
    """Find the next gzip member of a file whose content begins with some bytes; None if there is none."""
    file.seek(after)
    held = b""
    while block := file.read(BLOCK):
        held += block
        at = held.find(_GZIP_MAGIC)
        while 0 <= at <= len(held) - _GZIP_HEAD or (at >= 0 and file.tell() >= file.size):
            try:
                begin = zlib.decompressobj(_GZIP_WINDOW).decompress(held[at : at + _GZIP_HEAD], len(magic))
            except zlib.error:
                begin = b""
            if begin == magic:
                return file.tell() - len(held) + at
            at = held.find(_GZIP_MAGIC, at + 1)
        held = held[at:] if at >= 0 else held[-len(_GZIP_MAGIC) :]
    return None


@contextmanager
def open_bounded(source: Source) -> Iterator[BoundedFile]:
    """Open a source as it lies on disk.

    Raises:
        OSError: It cannot be opened.
    """
    with Path(source.path).open("rb", buffering=0) as file:
        yield BoundedFile(file, source.size)


@contextmanager
def open_stream(source: Source) -> Iterator[Stream]:
    """Open a source, decompressed.

    Raises:
        OSError: It cannot be opened.
    """
    with open_bounded(source) as file, Stream(file, source.compression) as stream:
        yield stream


@dataclass(frozen=True)
class RawLine:
    """One line as bytes, its line end with it.

    Attributes:
        number: From 1.
        data: The line, or the beginning of one that is too long.
        length: Bytes in the whole line.
    """

    number: int
    data: bytes
    length: int

    @property
    def too_long(self) -> bool:
        """Whether it is longer than a record may be."""
        return self.length > MAX_RECORD_BYTES


def cut_lines(stream: Stream) -> Iterator[RawLine]:
    """Cut a stream into lines at line feeds; a byte-order mark at its start is left out.

    A line that is too long is passed over without being held. A last line that is torn by the stream's problem
    is no line: it is left out, for the problem to be told instead.
    """
    number = 0
    while data := stream.readline(MAX_RECORD_BYTES + 1):
        number += 1
        length, whole = len(data), data.endswith(b"\n")
        if length > MAX_RECORD_BYTES and not whole:
            data = data[:BLOCK]
            while not whole and (piece := stream.readline(BLOCK)):
                length, whole = length + len(piece), piece.endswith(b"\n")
        if not whole and stream.read(1) == b"" and stream.problem:
            return
        if number == 1:
            data = data.removeprefix(b"\xef\xbb\xbf")
        yield RawLine(number, data, length)
