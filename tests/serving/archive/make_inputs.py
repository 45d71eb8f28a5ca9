"""Records written in every format that an archive may come in."""

import csv
import gzip
import html
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from backports import zstd
from pyarrow import parquet

Records = Sequence[Mapping[str, Any]]


def as_lines(records: Records) -> bytes:
    return b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)


def as_table(records: Records, delimiter: str = ",") -> bytes:
    columns = list(dict.fromkeys(name for record in records for name in record))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue().encode()


def as_page(record: Mapping[str, Any]) -> str:
    paragraphs = "".join(f"<p>{html.escape(line)}</p>" for line in str(record["text"]).splitlines() if line.strip())
    title = html.escape(str(record.get("title", "")))
    return (
        f"<!DOCTYPE html><html><head><title>{title}</title></head><body><article>{paragraphs}</article></body></html>"
    )


def as_warc(pages: Sequence[tuple[str, bytes, str, str]], compressed: bool = True) -> bytes:
    """Write captures: each an address, its content, its media type and the status line of the server."""
    records = [warc_record("warcinfo", "", b"software: test\r\n", "application/warc-fields", 0)]
    for number, (address, content, media, status) in enumerate(pages):
        head = f"HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        records.append(warc_record("response", address, head + content, "application/http; msgtype=response", number))
    return b"".join(gzip.compress(record, mtime=0) if compressed else record for record in records)


def warc_record(kind: str, address: str, content: bytes, media: str, number: int) -> bytes:
    head = [
        "WARC/1.1",
        f"WARC-Type: {kind}",
        *([f"WARC-Target-URI: {address}"] if address else []),
        "WARC-Date: 2017-04-07T09:14:00Z",
        f"WARC-Record-ID: <urn:uuid:{number:032x}>",
        f"Content-Type: {media}",
        f"Content-Length: {len(content)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + content + b"\r\n\r\n"


def warc_of(records: Records, compressed: bool = True) -> bytes:
    pages = [
        (f"https://example.org/{record['id']}", as_page(record).encode(), "text/html; charset=utf-8", "200 OK")
        for record in records
    ]
    return as_warc(pages, compressed)


def ninjs_1(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "uri": f"https://example.org/{record['id']}",
        "type": "text",
        "headline": record.get("title"),
        "body_text": record["text"],
        "versioncreated": record.get("published_at"),
        "language": record.get("language"),
        "source": record.get("outlet"),
    }


def ninjs_2(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "uri": f"https://example.org/{record['id']}",
        "standard": {"name": "ninjs", "version": "2.1"},
        "headlines": [{"role": "sub", "value": "Not this one"}, {"role": "main", "value": record.get("title")}],
        "bodies": [{"role": "main", "contenttype": "text/plain", "value": record["text"]}],
        "versioncreated": record.get("published_at"),
        "language": record.get("language"),
        "infosources": [{"name": record.get("outlet")}],
    }


def _file(name: str, content: Callable[[Records], bytes]) -> Callable[[Path, Records], Path]:
    def write(folder: Path, records: Records) -> Path:
        path = folder / name
        path.write_bytes(content(records))
        return path

    return write


def _folder(name: str, suffix: str, content: Callable[[Mapping[str, Any]], str]) -> Callable[[Path, Records], Path]:
    def write(folder: Path, records: Records) -> Path:
        inner = folder / name
        inner.mkdir()
        for number, record in enumerate(records):
            # Numbered, for their order to be that of the records.
            (inner / f"{number:06d}{suffix}").write_bytes(content(record).encode())
        return inner

    return write


def _parquet(folder: Path, records: Records) -> Path:
    path = folder / "archive.parquet"
    columns = list(dict.fromkeys(name for record in records for name in record))
    table = pa.Table.from_pylist([{name: record.get(name) for name in columns} for record in records])
    parquet.write_table(table, path, row_group_size=100)
    return path


# How to write records in each form; each takes a folder and the records, and returns the input to give.
# Records need "id" and "text"; a page's text is its lines, one a paragraph.
WRITERS: dict[str, Callable[[Path, Records], Path]] = {
    "jsonl": _file("archive.jsonl", as_lines),
    "jsonl.gz": _file("archive.jsonl.gz", lambda records: gzip.compress(as_lines(records), mtime=0)),
    "jsonl.zst": _file("archive.jsonl.zst", lambda records: zstd.compress(as_lines(records))),
    "json": _file("archive.json", lambda records: json.dumps(list(records), indent=1).encode()),
    "csv": _file("archive.csv", as_table),
    "csv.gz": _file("archive.csv.gz", lambda records: gzip.compress(as_table(records), mtime=0)),
    "tsv": _file("archive.tsv", lambda records: as_table(records, "\t")),
    "parquet": _parquet,
    "text": _folder("texts", ".txt", lambda record: str(record["text"])),
    "html": _folder("pages", ".html", as_page),
    "warc": _file("archive.warc", lambda records: warc_of(records, compressed=False)),
    "warc.gz": _file("archive.warc.gz", warc_of),
    "ninjs1": _file("news.json", lambda records: json.dumps([ninjs_1(record) for record in records]).encode()),
    "ninjs2": _file("news2.json", lambda records: as_lines([ninjs_2(record) for record in records])),
    "ninjs.jsonl": _file("news.jsonl", lambda records: as_lines([ninjs_1(record) for record in records])),
    "ninjs": _folder("items", ".json", lambda record: json.dumps(ninjs_2(record), indent=2)),
}
# Forms whose records hold a page, of which the text is extracted.
PAGES = frozenset({"html", "warc", "warc.gz"})
# Forms that keep no id of the records' own.
NAMELESS = frozenset({"text", *PAGES})
