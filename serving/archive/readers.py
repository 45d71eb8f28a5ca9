"""The one door to reading: a source in, items out, in the same order every time."""

from collections.abc import Callable, Iterator
from functools import partial

from serving.archive.formats import CSV, HTML, JSONL, NINJS, PARQUET, TEXT, WARC, ReadOptions
from serving.archive.items import Deferred, Item, reject
from serving.archive.sources import Source
from serving.archive.streams import Stream, open_bounded, open_stream

__all__ = ["Item", "ReadOptions", "read_items"]

# What holds documents only: a sentence of its own has no page around it.
_DOCUMENTS_ONLY = frozenset({HTML, WARC, NINJS})


def _say_nothing(message: str) -> None:
    """Take a note, and leave it at that."""


def read_items(
    source: Source, options: ReadOptions, start: int = 0, note: Callable[[str], None] = _say_nothing
) -> Iterator[Item]:
    """Read the records of an input file, a bounded amount of memory at a time.

    Whatever is wrong with the data becomes an item in its place: every record comes out once, as a record or as a
    reject. Only the bytes that the file had when it was found are read.

    Args:
        options: How the fields are called.
        start: Items to pass over; they are told apart, but not parsed.
        note: Called with what is worth saying that is no item: that a file is empty.

    Yields:
        The items from number `start` on; the same ones in the same order every time.
    """
    count = 0
    for count, make in enumerate(_read_or_reject(source, options), 1):
        if count > start:
            yield make()
    if not count:
        note(f"{source.path}: expected records, but found none. The file is passed over.")


def _read_or_reject(source: Source, options: ReadOptions) -> Iterator[Deferred]:
    """Read a source; what keeps it from being opened is a reject too."""
    path = source.path
    try:
        if not source.sha256:
            with open_bounded(source):
                pass  # raises what kept it from being read before
            problem = "expected a file that can be read, but found that it could not be at first. Run again."
            yield partial(reject, path, problem)
        elif options.sentences and source.format in _DOCUMENTS_ONLY:
            problem = (
                f"expected sentences, but found {source.format}, which holds documents. Read it without sentences."
            )
            yield partial(reject, path, problem)
        else:
            yield from _read(source, options)
    except OSError as error:
        yield partial(reject, path, f"expected a file that can be read, but found: {error.strerror}. Check the file.")


def _read(source: Source, options: ReadOptions) -> Iterator[Deferred]:
    path = source.path
    if source.format == WARC:
        from serving.archive.read_warc import read_captures

        with open_bounded(source) as file:
            yield from read_captures(file, path, source.compression)
    elif source.format == PARQUET:
        from serving.archive.read_parquet import read_columns

        with open_bounded(source) as file:
            yield from read_columns(file, path, options) if source.size else ()
    else:
        with open_stream(source) as stream:
            yield from _read_stream(stream, source, options)
            if stream.problem:
                problem = f"expected the whole file, but found {stream.problem}. What stands before it was read."
                yield partial(reject, path, problem)


def _read_stream(stream: Stream, source: Source, options: ReadOptions) -> Iterator[Deferred]:
    from serving.archive.read_csv import read_table
    from serving.archive.read_pages import read_page, read_text
    from serving.archive.read_records import read_json, read_lines

    if source.format == HTML:
        return read_page(stream, source.path)
    read = {JSONL: read_lines, CSV: read_table, TEXT: read_text}.get(source.format, read_json)
    return read(stream, source.path, options)
