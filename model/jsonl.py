"""JSON Lines, read so that a bad line costs that line alone."""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True)
class Line:
    """One line of a JSON Lines source: either a record or the problem that it has.

    Attributes:
        number: Line number, from 1.
        record: The JSON object, or None.
        problem: The finished error message, with place and remedy, or None.
    """

    number: int
    record: dict[str, Any] | None
    problem: str | None


def read_lines(source: Iterable[bytes], name: str) -> Iterator[Line]:
    """Read JSON Lines from raw lines of bytes; blank lines are passed over.

    Args:
        source: Lines as bytes, such as a file opened in binary mode.
        name: What to call the source in messages.
    """
    for number, raw in enumerate(source, 1):
        where = f"{name}:{number}"
        if not raw.strip():
            continue
        if len(raw) > MAX_LINE_BYTES:
            yield Line(
                number,
                None,
                f"{where}: expected a line of at most {MAX_LINE_BYTES} bytes, but found {len(raw)}. Split the record.",
            )
            continue
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            found = f"byte 0x{raw[error.start]:02x} at column {error.start + 1}"
            yield Line(number, None, f"{where}: expected UTF-8 text, but found {found}. Convert the file to UTF-8.")
            continue
        try:
            record = loads(text.rstrip("\r\n"))
        except (ValueError, RecursionError) as error:
            found = "deep nesting" if isinstance(error, RecursionError) else "a number out of range"
            if isinstance(error, json.JSONDecodeError):
                found = f"{error.msg} at column {error.colno}"
            yield Line(
                number, None, f"{where}: expected one JSON object, but found an error: {found}. Correct the line."
            )
            continue
        if not isinstance(record, dict):
            yield Line(
                number,
                None,
                f'{where}: expected one JSON object, but found {type(record).__name__}. Write {{"text": …}}.',
            )
            continue
        yield Line(number, record, None)


def loads(content: str | bytes) -> Any:
    """Parse JSON whose numbers can be written again.

    Raises:
        ValueError: It is no JSON, or has NaN or a number out of range.
    """
    return json.loads(content, parse_float=finite, parse_constant=finite)


def finite(digits: str) -> float:
    """A number that JSON can carry.

    Raises:
        ValueError: It is none.
    """
    value = float(digits)
    if not math.isfinite(value):  # Python reads NaN and 1e999, but no JSON can carry them on
        raise ValueError(digits)
    return value


def read_file(path: Path) -> Iterator[Line]:
    """Read a JSON Lines file; see `read_lines`."""
    with path.open("rb") as file:
        yield from read_lines(file, str(path))


def dumps(record: object) -> str:
    """Write one record as one line of JSON; non-ASCII is kept readable, unless there is a lone surrogate in it."""
    line = json.dumps(record, ensure_ascii=False, allow_nan=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(record, allow_nan=False)
    return line
