"""Broken inputs: all that is whole is read, the rest is rejected with its place and its reason, nothing is lost."""

import gzip
import hashlib
import json
import random
from pathlib import Path

import pyarrow as pa
import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from serving.archive.formats import ReadOptions
from serving.archive.items import Item
from serving.archive.readers import read_items
from serving.archive.sources import find_sources
from tests.serving.archive.make_inputs import WRITERS, as_lines, as_warc, warc_record

# Words that do not compress well, so that the files are longer than what is read of them at a time.
MANY = [{"id": str(n), "text": f"{n} {hashlib.sha512(bytes([n % 251, n // 251])).hexdigest()}"} for n in range(5_000)]


def read(path: Path, data: bytes, options: ReadOptions | None = None) -> list[Item]:
    path.write_bytes(data)
    [source] = find_sources([str(path)])
    return list(read_items(source, options or ReadOptions()))


def texts(items: list[Item]) -> list[str]:
    return [item.record["text"] for item in items if item.record is not None]


def errors(items: list[Item]) -> list[str]:
    assert all((item.record is None) == (item.error is not None) for item in items)
    return [item.error for item in items if item.error is not None]


# ---- Any damage ----


@pytest.mark.parametrize(
    "form", ["csv", "json", "jsonl", "jsonl.gz", "jsonl.zst", "ninjs1", "parquet", "warc", "warc.gz"]
)
def test_no_damage_makes_reading_fail_or_differ_from_one_time_to_the_next(form: str, tmp_path: Path) -> None:
    chance = random.Random(form)
    records = [{**record, "title": f"Title {record['id']}"} for record in MANY[:60]]
    path = WRITERS[form](tmp_path, records)
    whole = path.read_bytes()
    for _ in range(25):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 3, 10])):
            at = chance.randrange(len(data))
            if chance.random() < 0.5:
                data[at : at + chance.randrange(1, 40)] = chance.choice([b"", b'"', b"\n", b"{", b"\xff", b"\\"])
            else:
                data[at] = chance.randrange(256)
        items = read(path, bytes(data))
        assert all((item.record is None) == (item.error is not None) for item in items)
        start = chance.randrange(len(items) + 2)
        [source] = find_sources([str(path)])
        assert list(read_items(source, ReadOptions(), start=start)) == items[start:]


# ---- Compression ----


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_compressed_files_of_any_size_and_of_many_members_are_read_whole(suffix: str, tmp_path: Path) -> None:
    pack = gzip.compress if suffix == "gz" else zstd.compress
    half = len(MANY) // 2
    path = tmp_path / f"a.jsonl.{suffix}"
    assert len(texts(read(path, pack(as_lines(MANY))))) == len(MANY)
    parts = pack(as_lines(MANY[:half])) + pack(b"") + pack(as_lines(MANY[half:]))
    assert texts(read(path, parts)) == [record["text"] for record in MANY]
    assert texts(read(path, parts + bytes(512))) == [record["text"] for record in MANY]


@pytest.mark.parametrize(("suffix", "name"), [("gz", "gzip"), ("zst", "zstd")])
def test_a_truncated_file_gives_what_is_whole_and_then_says_where_it_broke_off(
    suffix: str, name: str, tmp_path: Path
) -> None:
    packed = (gzip.compress if suffix == "gz" else zstd.compress)(as_lines(MANY))
    path = tmp_path / f"a.jsonl.{suffix}"
    cut = len(packed) * 2 // 3
    items = read(path, packed[:cut])
    found = texts(items)
    assert len(found) > len(MANY) // 3
    assert found == [record["text"] for record in MANY[: len(found)]]
    assert errors(items) == [
        f"{path}: expected the whole file, but found {name} data cut off at byte {cut}. What stands before it was read."
    ]
    assert items[-1].record is None


@given(st.floats(0, 1))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wherever_gzip_is_cut_off_every_line_before_is_read(tmp_path: Path, share: float) -> None:
    records = MANY[:300]
    packed = gzip.compress(as_lines(records), mtime=0)
    cut = int(share * (len(packed) - 1))
    items = read(tmp_path / "a.jsonl.gz", packed[:cut])
    found = texts(items)
    assert found == [record["text"] for record in records[: len(found)]]
    assert len(errors(items)) == (1 if cut else 0)


def test_damaged_gzip_gives_every_line_before_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    packed = bytearray(gzip.compress(as_lines(MANY), mtime=0))
    middle = len(packed) // 2
    packed[middle : middle + 200] = b"\xff" * 200
    items = read(path, bytes(packed))
    found = texts(items)
    # The damage may decode to other bytes before it is noticed, but no line from before it is lost.
    assert len(found) > len(MANY) // 3
    assert found[: len(MANY) // 3] == [record["text"] for record in MANY[: len(MANY) // 3]]
    assert errors(items)[-1].startswith(f"{path}: expected the whole file, but found damaged gzip data before byte ")


def test_what_is_no_gzip_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    assert errors(read(path, as_lines(MANY[:2]))) == [
        f"{path}: expected the whole file, but found damaged gzip data before byte {len(as_lines(MANY[:2]))} "
        "(incorrect header check). What stands before it was read."
    ]


def test_a_file_that_shrank_is_said_to_have(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(as_lines(MANY[:3]))
    [source] = find_sources([str(path)])
    path.write_bytes(as_lines(MANY[:2]))
    size = len(as_lines(MANY[:2]))
    items = list(read_items(source, ReadOptions()))
    assert len(texts(items)) == 2
    assert errors(items) == [
        f"{path}: expected the whole file, but found only {size} of the {source.size} bytes that it had. "
        "What stands before it was read."
    ]


# ---- JSON ----


def test_each_bad_line_is_rejected_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [
        b'\xef\xbb\xbf{"text": "First."}\r',
        b'{"text": "Caf\xe9."}',
        b'{"text": "cut',
        b"[1, 2]",
        b"",
        b'{"text": ""}',
        b'{"body": "b", "id": 1}',
        b'{"text": "x", "id": [1]}',
        b'{"text": "x", "n": NaN}',
        b'{"text": "x", "note": "\\ud800"}',
        b'{"text": "nul \x00"}',
        b"\x00" * 4000,
        b"[" * 100_000,
        b'{"text": "Last."}',
    ]
    items = read(path, b"\n".join(lines))
    assert texts(items) == ["First.", "Last."]
    convert = "Convert the file, or name its encoding."
    correct = "Correct the record."
    assert errors(items) == [
        f"{path}:2: expected UTF-8 text, but found byte 0xe9 at column 14. {convert}",
        f"{path}:3: expected one JSON object, but found an error: Unterminated string starting at at character 10. "
        f"{correct}",
        f'{path}:4: expected one JSON object, but found list. Write {{"text": …}}.',
        f"{path}:6: field 'text': expected a text, but found an empty one. Give the text, or leave the record out.",
        f"{path}:7: expected a text in the field 'text', but found the fields body, id. Name the right one (text_field).",
        f"{path}:8: field 'id': expected a string, but found list. Give an id or leave it out.",
        f"{path}:9: expected one JSON object, but found an error: a number out of range. {correct}",
        f"{path}:10: expected Unicode text, but found a lone surrogate in '\\\\ud800'. Remove it.",
        f"{path}:11: expected one JSON object, but found an error: Invalid control character at at character 15. {correct}",
        f"{path}:12: expected one JSON object, but found an error: Expecting value at character 1. {correct}",
        f"{path}:13: expected one JSON object, but found an error: deep nesting. {correct}",
    ]
    assert items[1].raw == '{"text": "Caf\\xe9."}'
    assert all(0 < len(item.raw) <= 2000 for item in items if item.error)


def test_bad_objects_of_an_array_are_rejected_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    data = b'[\n{"text": "First."},\n{"text": oops},\n{"text": "stray},\n{"text": "q\\"{[\\\\"}, junk {"text": "Last."}\n]\n'
    items = read(path, data)
    assert texts(items) == ["First.", 'q"{[\\', "Last."]
    assert len(errors(items)) == 3
    assert [item.place for item in items] == [f"{path}:item {n}" for n in range(1, 7)]
    assert [item.raw.strip() for item in items if item.error] == ['{"text": oops}', '{"text": "stray},', ", junk"]


# ---- CSV ----


def test_rows_with_stray_quotes_are_rejected_and_reading_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = [
        "id,text,outlet",
        "1,One.,A",
        '2,"Two is open,A',
        '3,"Three, with a comma",A',
        '4,He said "four" aloud,A',
        "5,Five, torn,A",
        "6,Six",
        '7,"Seven\nhas two lines",A',
        '8,"Eight" is odd,A',
        "9,Nine.,A",
        '10,"Ten is never closed,A',
        "11,Eleven.,A",
        "12,Twelve.,A",
    ]
    items = read(path, "\n".join(lines).encode())
    assert texts(items) == [
        "One.",
        "Three, with a comma",
        'He said "four" aloud',
        "Seven\nhas two lines",
        "Nine.",
        "Eleven.",
        "Twelve.",
    ]
    quotes = "expected cells with quotes that close, but found an error: "
    assert errors(items) == [
        f"{path}:3: {quotes}',' expected after '\"'. Correct the row.",
        f"{path}:6: expected 3 cells, but found 4. Correct the row, or quote its text.",
        f"{path}:7: expected 3 cells, but found 2. Correct the row, or quote its text.",
        f"{path}:10: {quotes}',' expected after '\"'. Correct the row.",
        f"{path}:12: {quotes}unexpected end of data. Correct the row.",
    ]
    assert [item.raw for item in items if item.error][-1] == '10,"Ten is never closed,A\n'


@given(st.lists(st.sampled_from(['"', "a", ",", "\n", "é", '""', " "]), max_size=40).map("".join))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_table_holds_every_line_of_it_is_in_a_record_or_a_reject(tmp_path: Path, body: str) -> None:
    path = tmp_path / "a.csv"
    items = read(path, ("id,text\n" + body).encode())
    seen = "".join(item.raw if item.error else "".join(map(str, (item.record or {}).values())) for item in items)
    for letter in ("a", "é"):
        # A record without an id is named by its place, which has letters of its own.
        assert seen.count(letter) >= body.count(letter)


def test_a_row_with_bad_utf8_is_rejected_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    items = read(path, b'id,text\n1,One.\n2,"caf\xe9\nand more"\n3,Three.\n')
    assert texts(items) == ["One.", "Three."]
    assert errors(items) == [
        f"{path}:3: expected UTF-8 text, but found byte 0xe9 at column 7. Convert the file, or name its encoding."
    ]
    assert items[1].raw == '2,"caf\\xe9\nand more"\n'


def test_a_table_without_the_column_names_those_that_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    assert errors(read(path, b"id,body\n1,One.\n")) == [
        f"{path}:1: expected a column 'text', but found the columns ['body', 'id']. Name the right one (text_field)."
    ]
    assert errors(read(path, b"id,text,id\n1,One.,2\n")) == [
        f"{path}:1: expected columns of different names, but found 'id' twice. Rename one."
    ]


# ---- Parquet ----


def test_parquet_without_the_column_names_those_that_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"id": ["1"], "body": ["One."]}), path)
    assert errors(read(path, path.read_bytes())) == [
        f"{path}: expected a column 'text', but found the columns ['body', 'id']. Name the right one (text_field)."
    ]


def test_what_is_no_parquet_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"text": ["One."]}), path)
    [error] = errors(read(path, path.read_bytes()[:-20]))
    assert error.startswith(f"{path}: expected a Parquet file, but found an error: ")


def test_a_damaged_group_of_rows_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"id": [str(n) for n in range(300)], "text": [f"Text {n} {n * 7919}." for n in range(300)]})
    parquet.write_table(table, path, row_group_size=100, compression="zstd")
    data = bytearray(path.read_bytes())
    column = parquet.ParquetFile(path).metadata.row_group(1).column(1)
    begin = column.dictionary_page_offset or column.data_page_offset
    data[begin : begin + column.total_compressed_size] = bytes(column.total_compressed_size)
    items = read(path, bytes(data))
    assert texts(items) == [f"Text {n} {n * 7919}." for n in range(300) if not 100 <= n < 200]
    [error] = errors(items)
    assert error.startswith(f"{path}:row 101: expected rows that can be decoded, but found rows 101 to 200 damaged (")


def test_a_row_with_bad_utf8_in_parquet_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    column = pa.array([b"One.", b"caf\xe9", b"Three."], pa.binary()).cast(pa.string(), safe=False)
    parquet.write_table(pa.table({"text": column}), path)
    items = read(path, path.read_bytes())
    assert texts(items) == ["One.", "Three."]
    [error] = errors(items)
    assert error.startswith(f"{path}:row 2: expected values that can be read, but found an error: 'utf-8' codec")


# ---- Files that are one document ----


def test_binary_files_and_unknown_encodings_are_rejected(tmp_path: Path) -> None:
    text, page = tmp_path / "a.txt", tmp_path / "a.html"
    assert errors(read(text, b"PK\x03\x04\x00\x00")) == [
        f"{text}: expected a text, but found a binary file. Convert it to UTF-8 text."
    ]
    assert errors(read(text, "Le café.".encode("latin-1"))) == [
        f"{text}: expected UTF-8 text, but found byte 0xe9 at column 7. Convert the file, or name its encoding."
    ]
    assert errors(read(page, b"<html>\x00\x01")) == [
        f"{page}: expected a page, but found binary data. Convert it to UTF-8."
    ]


def test_sentences_are_not_looked_for_in_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    assert errors(read(path, b"<html></html>", ReadOptions(sentences=True))) == [
        f"{path}: expected sentences, but found html, which holds documents. Read it without sentences."
    ]


# ---- WARC ----

PAGE = b"<!DOCTYPE html><html><body><p>Words.</p></body></html>"
HTML = "text/html; charset=utf-8"


def pages(items: list[Item]) -> list[str]:
    return [item.record["url"] for item in items if item.record is not None]


def test_a_warc_of_pictures_is_skipped_picture_by_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    pictures = [(f"https://e.org/{n}.png", b"\x89PNG\x00", "image/png", "200 OK") for n in range(3)]
    items = read(path, as_warc(pictures))
    assert [item.skipped for item in items] == [True] * 3
    assert [error.partition(": ")[2] for error in errors(items)] == [
        "expected a page of text, but found image/png. Nothing to do."
    ] * 3
    assert items[0].raw.startswith("WARC/1.1\r\nWARC-Type: response\r\n")


def test_answers_that_are_no_article_are_skipped_and_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    captures = [
        ("https://e.org/1", PAGE, HTML, "404 Not Found"),
        ("https://e.org/2", b"", HTML, "200 OK"),
        ("https://e.org/3", PAGE, "", "200 OK"),
        ("https://e.org/4", b"Plain words.", "text/plain", "200 OK"),
        ("https://e.org/5", "<html>caf\xe9".encode("latin-1"), "text/html; charset=iso-8859-1", "200 OK"),
        ("https://e.org/6", "<html><meta charset='windows-1251'>Мэр".encode("cp1251"), "text/html", "200 OK"),
    ]
    items = read(path, as_warc(captures))
    assert [error.partition("found ")[2] for error in errors(items)] == [
        "the answer 404. Nothing to do.",
        "an empty page. Nothing to do.",
    ]
    assert pages(items) == [f"https://e.org/{n}" for n in (3, 4, 5, 6)]
    records = [item.record for item in items if item.record is not None]
    assert records[1]["text"] == "Plain words."
    assert records[2]["html"] == "<html>café"
    assert records[3]["html"].endswith("Мэр")


def packed_page(encoding: str, content: bytes, chunked: bool = False) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: {encoding}\r\n"
    if chunked:
        head += "Transfer-Encoding: chunked\r\n"
        content = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (content[:9], content[9:])) + b"0\r\n\r\n"
    return warc_record("response", "https://e.org/1", head.encode() + b"\r\n" + content, "application/http", 1)


def test_packed_and_chunked_answers_are_unpacked(tmp_path: Path) -> None:
    import brotli

    for encoding, content in (("gzip", gzip.compress(PAGE)), ("br", brotli.compress(PAGE)), ("identity", PAGE)):
        for chunked in (False, True):
            [item] = read(tmp_path / "a.warc", packed_page(encoding, content, chunked))
            assert item.record is not None, item.error
            assert item.record["html"] == PAGE.decode()
    [item] = read(tmp_path / "a.warc", packed_page("zstd", PAGE))
    assert str(item.error).endswith("expected a page, but found it encoded as 'zstd'. Capture it anew.")


def captures(count: int) -> list[bytes]:
    return [
        warc_record(
            "response",
            f"https://e.org/{n}",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE,
            "application/http",
            n,
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("compressed", [False, True])
def test_a_broken_record_costs_itself_and_the_next_ones_are_read(compressed: bool, tmp_path: Path) -> None:
    path = tmp_path / ("a.warc.gz" if compressed else "a.warc")
    records = captures(7)
    length = b"Content-Length: "
    size = int(records[1].split(length)[1].split(b"\r\n")[0])
    records[1] = records[1].replace(length + str(size).encode(), length + str(size + 300).encode())
    records[2] = records[2].replace(length + str(size).encode(), length + str(size - 5).encode())
    records[4] = b"junk\r\n" + records[4]
    records[5] = records[5].replace(length + str(size).encode() + b"\r\n", b"")
    items = read(path, b"".join(gzip.compress(record, mtime=0) if compressed else record for record in records))
    assert pages(items) == [f"https://e.org/{n}" for n in (0, 3, 4, 6)]
    found = [error.partition(": expected ")[2] for error in errors(items)]
    assert found == [
        f"a record of {size + 300} bytes as its header states, but found {size}. Fetch the file anew.",
        f"a record of {size - 5} bytes as its header states, but found more. Fetch the file anew.",
        "a record that begins with WARC/, but found other bytes. Fetch the file anew.",
        "a header with Content-Length, but found none. Fetch the file anew.",
    ]


def test_garbled_headers_cost_their_record_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    records = captures(4)
    records[1] = records[1].replace(b"WARC-Target-URI: ", b"WARC-Target-URX: ")
    records[2] = records[2].replace(b"HTTP/1.1 200 OK", b"GHTP/1.1_200_OK")
    items = read(path, b"".join(records))
    assert pages(items) == ["https://e.org/0", "https://e.org/3"]
    first, second = errors(items)
    assert first.startswith(f"{path}@{len(records[0])}: expected a record with its headers, but found an error: ")
    assert second == (f"{items[2].place}: expected the answer of a server, but found no status in it. Capture it anew.")


def test_a_damaged_member_costs_itself_and_the_next_ones_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    members = [gzip.compress(record, mtime=0) for record in captures(5)]
    broken = bytearray(members[2])
    broken[40:80] = b"\xff" * 40
    items = read(path, b"".join([*members[:2], bytes(broken), *members[3:]]))
    assert pages(items) == [f"https://e.org/{n}" for n in (0, 1, 3, 4)]
    place = sum(map(len, members[:2]))
    [error] = errors(items)
    assert error.startswith(f"{path}@{place}: expected whole records, but found damaged gzip data before byte ")


def test_a_truncated_warc_gives_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    data = b"".join(gzip.compress(record, mtime=0) for record in captures(4))
    items = read(path, data[:-30])
    assert pages(items) == [f"https://e.org/{n}" for n in range(3)]
    [error] = errors(items)
    assert error.endswith(
        f"expected whole records, but found gzip data cut off at byte {len(data) - 30}. Fetch the file anew."
    )
    plain = tmp_path / "a.warc"
    items = read(plain, b"".join(captures(4))[:-30])
    assert pages(items) == [f"https://e.org/{n}" for n in range(3)]
    assert len(errors(items)) == 1


def test_places_of_captures_are_where_their_members_begin(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    members = [gzip.compress(record, mtime=0) for record in captures(3)]
    items = read(path, b"".join(members))
    assert [item.place for item in items] == [
        f"{path}@{sum(map(len, members[:n]))} <https://e.org/{n}>" for n in range(3)
    ]
    whole = read(tmp_path / "b.warc.gz", gzip.compress(b"".join(captures(3))))
    assert pages(whole) == pages(items)


def test_a_record_that_another_writer_made_is_read(tmp_path: Path) -> None:
    import io

    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    out = io.BytesIO()
    writer = WARCWriter(out, gzip=True)
    head = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
    writer.write_record(
        writer.create_warc_record("https://e.org/0", "response", io.BytesIO(PAGE), length=len(PAGE), http_headers=head)
    )
    assert pages(read(tmp_path / "a.warc.gz", out.getvalue())) == ["https://e.org/0"]


# ---- ninjs ----


def test_a_news_item_without_a_body_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    items = read(path, json.dumps({"uri": "urn:1", "type": "picture", "headline": "H", "pubstatus": "usable"}).encode())
    assert errors(items) == [f"{path}:item 1: expected a body of text, but found a picture without one. Nothing to do."]
    assert items[0].skipped
