"""CSV, row by row: a row that cannot be read is rejected, and reading goes on at the next line."""

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial

from serving.archive.formats import MAX_RECORD_BYTES, ReadOptions
from serving.archive.items import Deferred, no_column, reject, to_item
from serving.archive.read_records import TOO_LONG, bad_encoding
from serving.archive.streams import RawLine, Stream, cut_lines

_DELIMITERS = (",", ";", "\t", "|")


def read_table(stream: Stream, path: str, options: ReadOptions) -> Iterator[Deferred]:
    """Read a CSV file; the first row names the columns, and blank lines are passed over.

    A quote that opens and is not closed makes a row run on into the next ones. It is noticed where the quotes or the
    number of cells no longer fit, and the row's first line alone is rejected; its next line is tried as a row.
    """
    # The module's limit of 131,072 characters a cell holds for the whole process; no record is longer than ours.
    csv.field_size_limit(MAX_RECORD_BYTES)
    rows = _Rows(stream, options)
    header = next(rows, None)
    if header is None:
        return
    place = f"{path}:{header.lines[0].number}"
    if header.problem or len(set(header.cells)) < len(header.cells):
        twice = next((name for name in header.cells if header.cells.count(name) > 1), "")
        problem = header.problem or f"expected columns of different names, but found {twice!r} twice. Rename one."
        yield partial(reject, place, problem, header.raw)
        return
    if not {options.text_field, options.html_field} & set(header.cells):
        yield partial(reject, place, no_column(options, header.cells), header.raw)
        return
    rows.columns = len(header.cells)
    for row in rows:
        place = f"{path}:{row.lines[0].number}"
        if row.problem:
            yield partial(reject, place, row.problem, row.raw)
        else:
            yield partial(to_item, dict(zip(header.cells, row.cells, strict=True)), place, options, row.raw)


class _Row:
    """A row's cells, or its problem, and the lines that it was read from."""

    def __init__(self, lines: Sequence[RawLine], cells: Sequence[str], problem: str = "") -> None:
        self.lines, self.cells, self.problem = lines, cells, problem

    @property
    def raw(self) -> bytes:
        return b"".join(line.data for line in self.lines)


class _Rows(Iterator[_Row]):
    """The rows of a file; lines that were taken for a row and are none of it are given back."""

    def __init__(self, stream: Stream, options: ReadOptions) -> None:
        self.columns = 0  # cells that a row must have; 0 for the header
        self._options = options
        self._delimiter = options.delimiter
        self._stream = cut_lines(stream)
        self._back: deque[RawLine] = deque()
        self._taken: list[RawLine] = []
        self._held = 0  # bytes of the lines that are taken
        self._reader: Iterator[list[str]] | None = None

    def __next__(self) -> _Row:
        while True:
            self._taken, self._held = [], 0
            if self._reader is None:
                self._reader = csv.reader(
                    self._lines(), delimiter=self._delimiter or self._find_delimiter(), strict=True
                )
            try:
                cells = next(self._reader)
                if self.columns != 1 and len(cells) == 1 and not cells[0].strip():
                    continue
                problem = self._check(cells)
            except StopIteration:
                if not self._taken:
                    raise
                cells, problem = [], ""
            except csv.Error as error:
                cells = []
                problem = f"expected cells with quotes that close, but found an error: {error}. Correct the row."
            if problem:
                return self._reject(problem)
            if cells:
                return _Row(self._taken, cells, self._unreadable())

    def _lines(self) -> Iterator[str]:
        """Give the parser the lines of one row, as many as it asks for."""
        while self._held <= MAX_RECORD_BYTES:
            line = self._back.popleft() if self._back else next(self._stream, None)
            if line is None:
                return
            self._taken.append(line)
            self._held += len(line.data)
            # Bytes that are no text pass through the parser as they are, for the row's end to be found.
            yield line.data.decode(self._options.encoding, "surrogateescape")

    def _check(self, cells: Sequence[str]) -> str:
        """Say why lines are no row; "" if they are one, or a blank line."""
        if any(line.too_long for line in self._taken[:1]):
            return f"{TOO_LONG} {self._taken[0].length}. Split it."
        if self.columns and cells and len(cells) != self.columns:
            return f"expected {self.columns} cells, but found {len(cells)}. Correct the row, or quote its text."
        return ""

    def _unreadable(self) -> str:
        """Say what bytes of a row are no text; "" if all are."""
        try:
            for line in self._taken:
                line.data.decode(self._options.encoding)
        except UnicodeDecodeError as error:
            return bad_encoding(error.object, error, self._options)
        return ""

    def _reject(self, problem: str) -> _Row:
        """Reject the first line of a row, and try the others anew."""
        self._back.extendleft(reversed(self._taken[1:]))
        self._reader = None
        return _Row(self._taken[:1], [], problem)

    def _find_delimiter(self) -> str:
        """Choose the mark that the header has most of, outside of quotes; a comma if none."""
        if not self._delimiter:
            line = next(self._stream, None)
            if line is not None:
                self._back.appendleft(line)
                outside = b"".join(line.data.split(b'"')[::2])
                self._delimiter = max(_DELIMITERS, key=lambda mark: outside.count(mark.encode()))
        return self._delimiter or ","
