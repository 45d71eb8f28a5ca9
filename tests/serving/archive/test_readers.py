"""Every format gives the same records, from any start, with bounded memory."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.labeller import read_document
from serving.archive.formats import ReadOptions
from serving.archive.items import Item
from serving.archive.readers import read_items
from serving.archive.sources import find_sources
from tests.serving.archive.make_inputs import NAMELESS, PAGES, WRITERS, as_lines, as_table

RECORDS = [
    {
        "id": f"a{n}",
        "title": f"Bakers of the {name} quarter strike",
        "text": f"The bakers of the {name} quarter said on Monday that they would strike.\n"
        f"“We have waited for {n + 2} years”, their speaker told the paper, “and no one came”.\n"
        "Flour has become dearer, and so has the wood for the ovens, as the town's own figures show.",
        "outlet": f"The {name} Paper",
        "url": f"https://example.org/a{n}",
        "published_at": "2017-04-07T09:14:00Z",
        "language": "en",
        "desk": "town",
    }
    for n, name in enumerate(["northern", "southern", "café", "old", "new"])
]


def read(path: Path | str, options: ReadOptions | None = None, start: int = 0) -> list[Item]:
    return [
        item
        for source in find_sources([str(path)])
        for item in read_items(source, options or ReadOptions(), start=start)
    ]


def good(items: list[Item]) -> list[Mapping[str, Any]]:
    assert [item.error for item in items if item.error] == []
    return [item.record for item in items if item.record is not None]


def words(record: Mapping[str, Any]) -> list[str]:
    """The text of a record in its paragraphs, as labelling sees it."""
    article = read_document({name: record[name] for name in ("text", "html") if name in record}, "test")
    return [block.of(article.text) for block in article.prose()]


@pytest.mark.parametrize("form", WRITERS)
def test_every_format_gives_the_same_texts_in_the_same_order(form: str, tmp_path: Path) -> None:
    records = good(read(WRITERS[form](tmp_path, RECORDS)))
    expected = [words({"text": record["text"]}) for record in RECORDS]
    if form in PAGES:
        # A page's own headline is taken into its text.
        expected = [[record["title"], *lines] for record, lines in zip(RECORDS, expected, strict=True)]
        assert all("html" in record and "text" not in record for record in records)
    assert [words(record) for record in records] == expected


@pytest.mark.parametrize("form", sorted(WRITERS.keys() - NAMELESS))
def test_every_format_with_fields_gives_the_same_metadata(form: str, tmp_path: Path) -> None:
    records = good(read(WRITERS[form](tmp_path, RECORDS)))
    names = ("title", "outlet", "url", "published_at", "language")
    assert [[r[name] for name in names] for r in records] == [[r[name] for name in names] for r in RECORDS]
    if not form.startswith("ninjs"):
        assert records == RECORDS


def test_a_capture_keeps_its_address_and_when_it_was_made(tmp_path: Path) -> None:
    [first, *_] = good(read(WRITERS["warc.gz"](tmp_path, RECORDS)))
    assert first["id"] == "urn:uuid:00000000000000000000000000000000"
    assert first["url"] == "https://example.org/a0"
    assert first["warc_date"] == "2017-04-07T09:14:00Z"


@pytest.mark.parametrize("form", WRITERS)
def test_reading_from_a_start_gives_what_reading_all_gives_from_there(form: str, tmp_path: Path) -> None:
    path = WRITERS[form](tmp_path, RECORDS)
    for source in find_sources([str(path)]):
        whole = list(read_items(source, ReadOptions()))
        assert list(read_items(source, ReadOptions())) == whole
        for start in range(len(whole) + 2):
            assert list(read_items(source, ReadOptions(), start=start)) == whole[start:]


@pytest.mark.parametrize("form", sorted({"jsonl", "json", "csv", "parquet"}))
def test_fields_of_other_names_are_mapped_and_what_stands_in_the_way_is_kept(form: str, tmp_path: Path) -> None:
    records = [{"nr": 7, "body": "Some words.", "paper": "The Paper", "text": "a note", "id": "x", "when": "2017"}]
    options = ReadOptions(
        text_field="body", id_field="nr", outlet_field="paper", published_at_field="when", html_field=""
    )
    [record] = good(read(WRITERS[form](tmp_path, records), options))
    assert record == {
        "id": "7",
        "text": "Some words.",
        "outlet": "The Paper",
        "published_at": "2017",
        "text_given": "a note",
        "id_given": "x",
    }


def test_a_record_without_an_id_is_named_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('\n{"text": "One."}\r\n\n{"text": "Two.", "id": 2}\n{"text": "Three.", "id": 3.0}\n')
    assert [record["id"] for record in good(read(path))] == [f"{path}:2", "2", "3"]
    assert [item.place for item in read(path)] == [f"{path}:2", f"{path}:4", f"{path}:5"]


def test_places_count_lines_in_tables_and_rows_in_parquet(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_bytes(b'text,id\r\n"One\r\nand more.",1\r\n\r\nTwo.,2\r\n')
    assert [(item.place, item.record) for item in read(table)] == [
        (f"{table}:2", {"id": "1", "text": "One\r\nand more."}),
        (f"{table}:5", {"id": "2", "text": "Two."}),
    ]
    rows = WRITERS["parquet"](tmp_path, RECORDS)
    assert [item.place for item in read(rows)][:2] == [f"{rows}:row 1", f"{rows}:row 2"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_a_table_is_found_in_its_header(delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" + as_table([{"id": "1", "text": "One, two; three | four."}], delimiter))
    assert good(read(path)) == [{"id": "1", "text": "One, two; three | four."}]


def test_a_line_of_a_text_is_a_sentence_where_sentences_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfOne.\r\n\r\nTwo.\n")
    assert good(read(path, ReadOptions(sentences=True))) == [
        {"id": f"{path}:1", "text": "One."},
        {"id": f"{path}:3", "text": "Two."},
    ]
    assert good(read(path)) == [{"id": str(path), "text": "One.\r\n\r\nTwo.\n"}]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_another_encoding_is_read_when_it_is_named(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"id": "1", "text": "Le café."}\n'.encode(encoding))
    assert good(read(path, ReadOptions(encoding=encoding))) == [{"id": "1", "text": "Le café."}]


def test_parquet_values_of_any_type_become_values_of_json(tmp_path: Path) -> None:
    import datetime
    import decimal

    import pyarrow as pa
    from pyarrow import parquet

    utc = datetime.UTC
    table = pa.table(
        {
            "id": pa.array([1], pa.int64()),
            "text": pa.array([b"Some words."], pa.binary()),
            "published_at": pa.array([1_491_556_440_000_000_001], pa.timestamp("ns", "UTC")),
            "day": pa.array([datetime.date(2017, 4, 7)]),
            "local": pa.array([datetime.datetime(2017, 4, 7, 9, 14)], pa.timestamp("us")),
            "price": pa.array([decimal.Decimal("1.50")]),
            "share": pa.array([float("nan")]),
            "took": pa.array([datetime.timedelta(seconds=90)], pa.duration("ns")),
            "digest": pa.array([b"\xff\x00"], pa.binary()),
            "tags": pa.array([["a", "b"]]),
            "counts": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
            "by": pa.array([{"name": "A", "at": datetime.datetime(2017, 4, 7, tzinfo=utc)}]),
            "section": pa.array(["town"]).dictionary_encode(),
            "none": pa.nulls(1),
        }
    )
    path = tmp_path / "a.parquet"
    parquet.write_table(table, path)
    [record] = good(read(path))
    assert record == {
        "id": "1",
        "text": "Some words.",
        "published_at": "2017-04-07T09:14:00+00:00",
        "day": "2017-04-07",
        "local": "2017-04-07T09:14:00",
        "price": "1.50",
        "share": None,
        "took": 90.0,
        "digest": "/wA=",
        "tags": ["a", "b"],
        "counts": {"a": 1},
        "by": {"name": "A", "at": "2017-04-07T00:00:00+00:00"},
        "section": "town",
        "none": None,
    }
    json.dumps(record, allow_nan=False)


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=60).filter(str.strip)


@given(st.lists(st.fixed_dictionaries({"text": TEXTS, "desk": NAMES}), min_size=1, max_size=8))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_through_lines_tables_and_arrays_as_it_is(tmp_path: Path, records: list[dict[str, str]]) -> None:
    numbered = [{"id": str(n), **record} for n, record in enumerate(records)]
    (tmp_path / "a.jsonl").write_bytes(as_lines(numbered))
    (tmp_path / "a.csv").write_bytes(as_table(numbered))
    (tmp_path / "a.json").write_text(json.dumps(numbered))
    assert good(read(tmp_path / "a.jsonl")) == numbered
    assert good(read(tmp_path / "a.csv")) == numbered
    assert good(read(tmp_path / "a.json")) == numbered


@given(
    st.binary(max_size=400), st.sampled_from(["jsonl", "json", "csv", "parquet", "warc", "warc.gz", "jsonl.gz", "zst"])
)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_make_reading_fail(tmp_path: Path, data: bytes, form: str) -> None:
    path = tmp_path / ("a.jsonl.zst" if form == "zst" else f"a.{form}")
    path.write_bytes(data)
    items = read(path)
    assert items == read(path)
    assert all((item.record is None) == (item.error is not None) for item in items)


def test_what_is_appended_meanwhile_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "1", "text": "One."}\n')
    [source] = find_sources([str(path)])
    with path.open("a") as file:
        file.write('{"id": "2", "text": "Two."}\n')
    assert [item.record for item in read_items(source, ReadOptions())] == [{"id": "1", "text": "One."}]


def test_an_empty_file_has_no_items_and_is_noted(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.csv", "c.parquet", "d.txt", "e.html", "f.warc.gz", "g.json", "h.jsonl.gz"):
        (tmp_path / name).write_bytes(b"")
        notes: list[str] = []
        [source] = find_sources([str(tmp_path / name)])
        assert list(read_items(source, ReadOptions(), note=notes.append)) == []
        assert notes == [f"{tmp_path / name}: expected records, but found none. The file is passed over."]


MEASURED = """
import resource, sys
from serving.archive.formats import ReadOptions
from serving.archive.readers import read_items
from serving.archive.sources import find_sources
count = errors = 0
for source in find_sources(sys.argv[1:]):
    for item in read_items(source, ReadOptions()):
        count += 1
        errors += item.error is not None
print(count, errors, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def measure(path: Path) -> tuple[int, int, int]:
    """Read a file in a process of its own: its items, its rejects and the peak of memory in MB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, check=True, timeout=120
    )
    count, errors, peak = map(int, done.stdout.split())
    return count, errors, peak // 1024


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv"])
def test_a_line_of_200_mb_is_rejected_without_being_held(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    before = b'{"id": "1", "text": "One."}\n{"text": "' if suffix != "csv" else b"id,text\n1,One.\n2,"
    after = b'"}\n{"id": "3", "text": "Three."}\n' if suffix != "csv" else b"\n3,Three.\n"
    with path.open("wb") as file:
        file.write(before)
        file.seek(200_000_000, 1)  # a hole, which is read as zeros
        file.write(after)
    small = tmp_path / f"small.{suffix}"
    small.write_bytes(before + after)
    count, errors, least = measure(small)
    assert (count, errors) == (3, 1)  # the text is empty without the words
    count, errors, peak = measure(path)
    assert (count, errors) == (3, 1)
    # 16 MiB are the most that a record may have; a few copies of that are made on its way.
    assert peak - least < 120
