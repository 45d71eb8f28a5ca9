"""Parquet, a bounded number of rows at a time; values of any type become values that JSON has."""

import base64
import datetime
import decimal
import io
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

from serving.archive.formats import ReadOptions
from serving.archive.items import Deferred, Item, no_column, reject, to_item
from serving.archive.streams import BLOCK, BoundedFile

# Rows decoded at a time. A row may hold a long document: this many of them must fit into memory.
_ROWS = 64


def read_columns(file: BoundedFile, path: str, options: ReadOptions) -> Iterator[Deferred]:
    """Read a Parquet file, row by row.

    A group of rows that is damaged is rejected from where it cannot be read on, and the next group is read.
    """
    import pyarrow as pa
    from pyarrow import parquet

    broken = (pa.ArrowException, OSError, ValueError)
    try:
        table = parquet.ParquetFile(io.BufferedReader(file, BLOCK), buffer_size=BLOCK, pre_buffer=False)
        names = table.schema_arrow.names
    except broken as error:
        problem = f"expected a Parquet file, but found an error: {_line(error)}. Write the file anew."
        yield partial(reject, path, problem)
        return
    if not {options.text_field, options.html_field} & set(names):
        yield partial(reject, path, no_column(options, names))
        return
    row = 0  # rows before the next one
    for group in range(table.num_row_groups):
        end = row + table.metadata.row_group(group).num_rows
        batches = table.iter_batches(_ROWS, row_groups=[group], use_threads=False)
        while row < end:
            try:
                batch = next(batches)
            except (*broken, StopIteration) as error:
                found = f"rows {row + 1} to {end} damaged ({_line(error)})"
                problem = f"expected rows that can be decoded, but found {found}. Write the file anew."
                yield partial(reject, f"{path}:row {row + 1}", problem)
                row = end
                break
            records = _Records(batch)
            for n in range(batch.num_rows):
                yield partial(_item, records, n, f"{path}:row {row + n + 1}", options)
            row += batch.num_rows


class _Records:
    """The rows of a record batch as Python values, converted when the first is asked for."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch
        self._rows: list[dict[str, Any]] | None = None

    def __getitem__(self, n: int) -> dict[str, Any]:
        if self._rows is None:
            self._batch = _in_microseconds(self._batch)
            try:
                self._rows = self._batch.to_pylist()
            except (ValueError, OverflowError):
                # One value that has no counterpart must not cost the other rows.
                self._rows = []
        return self._rows[n] if self._rows else self._batch.slice(n, 1).to_pylist()[0]


def _item(records: _Records, n: int, place: str, options: ReadOptions) -> Item:
    try:
        return to_item({name: plain(value) for name, value in records[n].items()}, place, options)
    except (ValueError, OverflowError) as error:
        raw = error.object if isinstance(error, UnicodeDecodeError) else ""
        found = f"an error: {_line(error)}"
        return reject(place, f"expected values that can be read, but found {found}. Correct the row.", raw)


def _in_microseconds(batch: Any) -> Any:
    """Cut times to what Python can hold: it knows no nanoseconds."""
    import pyarrow as pa

    columns = []
    for column in batch.columns:
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
        elif pa.types.is_duration(column.type) and column.type.unit == "ns":
            column = column.cast(pa.duration("us"), safe=False)
        elif pa.types.is_time64(column.type) and column.type.unit == "ns":
            column = column.cast(pa.time64("us"), safe=False)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def plain(value: Any) -> Any:
    """Make a value of any type one that JSON has.

    Times become ISO 8601 text, decimals their digits, bytes the text that they are or else base64, numbers that are
    none nothing at all, and maps objects.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        if value and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
            return {str(plain(key)): plain(inner) for key, inner in value}
        return [plain(inner) for inner in value]
    return format(value, "f") if isinstance(value, decimal.Decimal) else str(value)


def _line(error: Exception) -> str:
    """The first line of a message: some go on for pages."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200].rstrip(".")
