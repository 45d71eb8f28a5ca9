"""JSON Lines: a bad line costs that line alone, and what is written can be read."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.jsonl import MAX_LINE_BYTES, Line, dumps, read_file, read_lines

REMEDY = "Correct the line."


def read(*raw: bytes) -> list[Line]:
    return list(read_lines(raw, "in.jsonl"))


def test_records_come_with_their_line_numbers() -> None:
    assert read(b'{"id": 1}\n', b'{"id": 2}\n') == [Line(1, {"id": 1}, None), Line(2, {"id": 2}, None)]


def test_blank_lines_are_passed_over_and_counted() -> None:
    assert [line.number for line in read(b"\n", b'{"id": 1}\n', b"  \t\r\n", b'{"id": 2}')] == [2, 4]


def test_a_byte_order_mark_at_the_start_of_the_file_is_no_error() -> None:
    assert read(b'\xef\xbb\xbf{"id": 1}\n') == [Line(1, {"id": 1}, None)]


def test_windows_line_ends_are_no_error() -> None:
    assert read(b'{"id": 1}\r\n') == [Line(1, {"id": 1}, None)]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "expected one JSON object, but found an error: Expecting property name enclosed in double quotes at column 2. " + REMEDY),
        (b'{"a": 1} {"b": 2}', "expected one JSON object, but found an error: Extra data at column 10. " + REMEDY),
        (b"[1]", 'expected one JSON object, but found list. Write {"text": …}.'),
        (b'"text"', 'expected one JSON object, but found str. Write {"text": …}.'),
        (b"null", 'expected one JSON object, but found NoneType. Write {"text": …}.'),
        (b'{"a": "\xff"}', "expected UTF-8 text, but found byte 0xff at column 8. Convert the file to UTF-8."),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "expected one JSON object, but found an error: deep nesting. " + REMEDY),
        (b'{"a": NaN}', "expected one JSON object, but found an error: a number out of range. " + REMEDY),
        (b'{"a": -Infinity}', "expected one JSON object, but found an error: a number out of range. " + REMEDY),
        (b'{"a": 1e999}', "expected one JSON object, but found an error: a number out of range. " + REMEDY),
        (b'{"a": ' + b"1" * 5000 + b"}", "expected one JSON object, but found an error: a number out of range. " + REMEDY),
        (
            b'{"a": "' + b"x" * MAX_LINE_BYTES + b'"}',
            # the value, and the nine bytes of {"a": ""} and the line end
            f"expected a line of at most {MAX_LINE_BYTES} bytes, but found {MAX_LINE_BYTES + 10}. Split the record.",
        ),
    ],
    ids=["cut", "two", "list", "text", "null", "bytes", "deep", "nan", "infinity", "overflow", "digits", "long"],
)  # fmt: skip
def test_a_bad_line_is_named_and_costs_no_other(raw: bytes, message: str) -> None:
    first, bad, last = read(b'{"id": 1}\n', raw + b"\n", b'{"id": 3}\n')
    assert (first.record, last.record) == ({"id": 1}, {"id": 3})
    assert bad == Line(2, None, f"in.jsonl:2: {message}")


def test_a_file_is_named_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "gold.jsonl"
    file.write_bytes(b'{"id": 1}\n[]\n')
    good, bad = read_file(file)
    assert good.record == {"id": 1}
    assert str(bad.problem).startswith(f"{file}:2: ")


def test_other_scripts_are_written_as_they_are() -> None:
    assert dumps({"text": "Դամասկոս «دمشق» 🕊"}) == '{"text": "Դամասկոս «دمشق» 🕊"}'


def test_a_lone_surrogate_is_written_escaped() -> None:
    assert dumps({"text": "é\ud800"}) == '{"text": "\\u00e9\\ud800"}'


def test_a_number_that_json_cannot_hold_is_not_written() -> None:
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        dumps({"score": float("nan")})


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=()), max_size=6),  # lone surrogates too
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=4), JSON, max_size=4))
def test_what_is_written_reads_back_the_same(record: dict[str, Any]) -> None:
    line = dumps(record)
    assert "\n" not in line
    assert read(line.encode()) == [Line(1, record, None)]


@given(st.lists(st.binary(max_size=30) | JSON.map(lambda value: json.dumps(value).encode())))
def test_no_bytes_make_reading_raise(raw: list[bytes]) -> None:
    for line in read(*raw):
        assert (line.record is None) != (line.problem is None)
        if line.record is not None:
            dumps(line.record).encode()
        else:
            assert str(line.problem).startswith(f"in.jsonl:{line.number}: expected ")
