"""Plain texts and pages, one document a file; and the encoding of a page, which it may tell in three ways."""

import codecs
import re
from collections.abc import Iterator
from functools import partial

from model.labeller import MAX_DOCUMENT_CHARACTERS
from serving.archive.formats import MAX_RECORD_BYTES, ReadOptions
from serving.archive.items import Deferred, Item, reject
from serving.archive.read_records import TOO_LONG, bad_encoding
from serving.archive.streams import Stream, cut_lines

# Labels that browsers read as a larger set of characters (WHATWG, "Encoding", 4.2), as pages rely on.
_WIDER = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_META = re.compile(rb"""<(?:meta\b[^>]*?charset|\?xml\b[^>]*?encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_GUESSED = 1 << 16


def read_text(stream: Stream, path: str, options: ReadOptions) -> Iterator[Deferred]:
    """Read a plain text: one document, or with `sentences` one sentence a line, blank lines passed over."""
    if options.sentences:
        for line in cut_lines(stream):
            place = f"{path}:{line.number}"
            if line.too_long:
                yield partial(reject, place, f"{TOO_LONG} {line.length}. Split it.", line.data)
            elif line.data.strip():
                yield partial(_text, line.data.rstrip(b"\r\n"), place, options)
        return
    raw = stream.read(4 * MAX_DOCUMENT_CHARACTERS + 1)
    if stream.problem or not raw:
        return
    if len(raw) > 4 * MAX_DOCUMENT_CHARACTERS:
        limit = f"at most {MAX_DOCUMENT_CHARACTERS} characters an article"
        yield partial(reject, path, f"expected {limit}, but found more than {len(raw) - 1} bytes. Split the file.", raw)
    else:
        yield partial(_text, raw, path, options)


def _text(raw: bytes, place: str, options: ReadOptions) -> Item:
    if b"\x00" in raw:
        return reject(place, "expected a text, but found a binary file. Convert it to UTF-8 text.", raw)
    try:
        # Line ends are kept, so that offsets count in the text as it is.
        text = raw.removeprefix(codecs.BOM_UTF8).decode(options.encoding)
    except UnicodeDecodeError as error:
        return reject(place, bad_encoding(raw, error, options), raw)
    if not text.strip():
        return reject(place, "expected a text, but found an empty one. Nothing to do.", raw, skipped=True)
    return Item(place, {"id": place, "text": text})


def read_page(stream: Stream, path: str) -> Iterator[Deferred]:
    """Read an HTML file: one document."""
    raw = stream.read(MAX_RECORD_BYTES + 1)
    if stream.problem or not raw:
        return
    if len(raw) > MAX_RECORD_BYTES:
        yield partial(reject, path, f"{TOO_LONG} more. Save the article alone.", raw)
    else:
        yield partial(_page, raw, path)


def _page(raw: bytes, place: str) -> Item:
    try:
        html = decode_page(raw)
    except ValueError as error:
        return reject(place, f"expected a page, but found {error}. Convert it to UTF-8.", raw)
    if not html.strip():
        return reject(place, "expected a page, but found an empty one. Nothing to do.", raw, skipped=True)
    return Item(place, {"id": place, "html": html})


def decode_page(raw: bytes, declared: str = "") -> str:
    """Decode a page by its byte-order mark, as UTF-8 if it is that, as declared, as its own head says, or by a guess.

    What is valid UTF-8 is UTF-8, whatever was declared: text in another encoding hardly ever happens to be.

    Args:
        declared: The charset of the HTTP header; "" if there is none.

    Raises:
        ValueError: It is binary, or in no encoding that can be told; the message says which.
    """
    for mark, name in _MARKS:
        if raw.startswith(mark):
            return raw.decode(name, "replace")
    if b"\x00" in raw:
        raise ValueError("binary data")
    named = [declared, *(name.decode() for name in _META.findall(raw[:2048]))]
    # Escapes of 7 bits pass for UTF-8, which they are not.
    names = named if b"\x1b" in raw else ["utf-8", *named]
    for name in filter(None, names):
        try:
            canonical = codecs.lookup(name.strip("\"' ")).name
            return raw.decode(_WIDER.get(canonical, canonical))
        except (LookupError, UnicodeError):
            continue
    from charset_normalizer import from_bytes

    guess = from_bytes(raw[:_GUESSED]).best()
    if guess is None:
        raise ValueError("text in an unknown encoding")
    return raw.decode(guess.encoding, "replace")
