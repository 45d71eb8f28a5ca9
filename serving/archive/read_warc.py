"""WARC, the archives of web crawlers: each page captured is a document, with where and when it was captured."""

import io
import re
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Any

from model.article import looks_like_html
from serving.archive.cut_warc import LONGEST_LINE, CutRecord, cut_records
from serving.archive.formats import MAX_RECORD_BYTES
from serving.archive.items import Deferred, Item, reject
from serving.archive.read_pages import decode_page
from serving.archive.read_records import TOO_LONG
from serving.archive.streams import BoundedFile

# Types of records that hold what was at an address. Others hold requests, notes on the crawl, or that a page was
# found as it had been before: they are passed over.
_PAGES = frozenset({"response", "resource", "conversion"})
_GOOD = frozenset({"200", "203"})
_MARKUP = frozenset({"text/html", "application/xhtml+xml"})
_TYPE = re.compile(rb"^warc-type:[ \t]*(\w+)", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(rb"^warc-target-uri:[ \t]*<?([^\s>]+)", re.IGNORECASE | re.MULTILINE)
# How an answer may be packed, with zlib's number for it; "deflate" is with or without a header of its own.
_GZIP, _ZLIB, _BARE = 31, 15, -15
_PACKED = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (_ZLIB, _BARE)}


def read_captures(file: BoundedFile, path: str, compression: str) -> Iterator[Deferred]:
    """Read the pages of a WARC file.

    A capture that is no page, such as a picture or an error of the server, is a reject that is marked as skipped.
    A broken record costs itself: reading goes on at the next one.
    """
    for cut in cut_records(file, compression):
        kind = _TYPE.search(cut.head)
        if not cut.problem and (not kind or kind[1].decode().lower() not in _PAGES):
            continue
        address = _ADDRESS.search(cut.head)
        place = f"{path}@{cut.offset}" + (f" <{address[1].decode('utf-8', 'replace')}>" if address else "")
        if cut.problem:
            yield partial(reject, place, cut.problem, cut.head + cut.content[:LONGEST_LINE])
        else:
            yield partial(_capture, cut, place)


def _capture(cut: CutRecord, place: str) -> Item:
    """Make an item of a whole record."""
    from warcio.archiveiterator import WARCIterator

    whole = cut.head + cut.content
    try:
        record = next(iter(WARCIterator(io.BytesIO(whole + b"\r\n\r\n"))))
    except Exception as error:  # headers that are garbled make it fail in any way there is
        found = f"an error: {str(error)[:200] or type(error).__name__}"
        return reject(place, f"expected a record with its headers, but found {found}. Capture it anew.", whole)
    return _page_of(record, whole, place)


def _page_of(record: Any, whole: bytes, place: str) -> Item:
    http, head = record.http_headers, record.rec_headers
    status = http.get_statuscode() if http else ""
    if http and not status.isdigit():
        return reject(place, "expected the answer of a server, but found no status in it. Capture it anew.", whole)
    if http and status not in _GOOD:
        return _skip(place, f"the answer {status}", whole)
    media = (http or head).get_header("Content-Type") or ""
    encoding = ((http.get_header("Content-Encoding") if http else "") or "").strip().lower()
    kind = media.partition(";")[0].strip().lower()
    if kind and kind not in _MARKUP and kind != "text/plain":
        return _skip(place, kind, whole)
    try:
        raw = _unpack(_content(record), encoding)
    except LookupError:
        return reject(place, f"expected a page, but found it encoded as {encoding!r:.40}. Capture it anew.", whole)
    if len(raw) > MAX_RECORD_BYTES:
        return reject(place, f"{TOO_LONG} more once decompressed. Leave it out.", whole)
    charset = re.search(r"charset\s*=\s*([^\s;]+)", media, re.IGNORECASE)
    try:
        text = decode_page(raw, charset[1] if charset else "")
    except ValueError as error:
        return reject(place, f"expected a page, but found {error}. Capture it anew.", whole)
    if not text.strip():
        return _skip(place, "an empty page", whole)
    if not kind and not looks_like_html(text):
        return _skip(place, "content of no stated kind", whole)
    identifier = (head.get_header("WARC-Record-ID") or place).strip("<>")
    fields = {
        "id": identifier,
        "text" if kind == "text/plain" else "html": text,
        "url": (head.get_header("WARC-Target-URI") or "").strip("<>"),
        "warc_date": head.get_header("WARC-Date"),
    }
    return Item(place, {name: value for name, value in fields.items() if value})


def _skip(place: str, found: str, whole: bytes) -> Item:
    return reject(place, f"expected a page of text, but found {found}. Nothing to do.", whole, skipped=True)


def _content(record: Any) -> bytes:
    """Read what a server sent, put together if it came in chunks."""
    from warcio.bufferedreaders import ChunkedDataReader

    coding = record.http_headers.get_header("Transfer-Encoding") if record.http_headers else None
    stream = ChunkedDataReader(record.raw_stream) if (coding or "").strip().lower() == "chunked" else record.raw_stream
    parts = []
    while part := stream.read(MAX_RECORD_BYTES):
        parts.append(part)
    return b"".join(parts)


def _unpack(raw: bytes, encoding: str) -> bytes:
    """Unpack an answer, to a little more than a record may have at most.

    Many crawlers store it unpacked, and its header as it was: what cannot be unpacked is taken as it stands.

    Raises:
        LookupError: The encoding is not known.
    """
    limit = MAX_RECORD_BYTES + 1
    if encoding == "br":
        import brotli

        try:
            return bytes(brotli.Decompressor().process(raw, output_buffer_limit=limit))
        except brotli.error:
            return raw
    for window in _PACKED[encoding] if encoding not in ("", "identity") else ():
        try:
            return zlib.decompressobj(window).decompress(raw, limit)
        except zlib.error:
            continue
    return raw
