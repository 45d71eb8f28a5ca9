"""News items of the IPTC: ninjs 1.x, where a field's name says its form, and 2.x and 3.x, where a list does.

Source: IPTC, "ninjs - News in JSON", versions 1.0 to 1.8 and 2.0 to 3.3.
"""

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from serving.archive.formats import ReadOptions
from serving.archive.items import Item, reject, to_item

_BODIES = ("bodies", "body")
_HEADLINES = ("headlines", "headline")
# Fields by which an item is known that has an address but is no record of the house's own kind.
_OWN_FIELDS = frozenset({"bodies", "headlines", "versioncreated", "firstcreated", "pubstatus", "representationtype"})
_MARKUP = re.compile(r"</?[a-z][^>]*>", re.IGNORECASE)


def is_news_item(value: Mapping[str, Any], options: ReadOptions) -> bool:
    """Tell whether a JSON object is a ninjs item rather than a record, by its fields."""
    if not isinstance(value.get("uri"), str) or isinstance(value.get(options.text_field), str):
        return False
    standard = value.get("standard") or value.get("$standard")
    named = isinstance(standard, Mapping) and standard.get("name") == "ninjs"
    return named or not _OWN_FIELDS.isdisjoint(value) or any(key.startswith("body_") for key in value)


def read_news_item(value: Mapping[str, Any], place: str, options: ReadOptions) -> Item:
    """Make an item of a ninjs object.

    The text is its plain body, or else its HTML; the other bodies, and all that is not read here, are carried
    through. The outlet is its source or provider, or else who holds the copyright.
    """
    form, body, field = _body(value)
    if not body:
        kind = value.get("type")
        kind = kind if isinstance(kind, str) else "news item"
        problem = f"expected a body of text, but found a {kind} without one. Nothing to do."
        return reject(place, problem, json.dumps(value, ensure_ascii=False), skipped=True)
    title = _headline(value)
    used = {"uri", "headline", "headlines", "language", field}
    record: dict[str, Any] = {"id": value["uri"], "title": title, "language": value.get("language")}
    record[form] = body if form == "text" else _page(body, title)
    record["outlet"] = _outlet(value)
    if re.match(r"https?://", value["uri"]):
        record["url"] = value["uri"]
    for name in ("versioncreated", "contentcreated", "firstcreated"):
        if isinstance(value.get(name), str):
            record["published_at"] = value[name]
            used.add(name)
            break
    others = {key: inner for key, inner in value.items() if key not in used}
    record |= {f"{key}_given" if key in record else key: inner for key, inner in others.items()}
    # These are the house's names already, whatever the caller's records are called.
    plain = ReadOptions(sentences=options.sentences)
    return to_item({key: inner for key, inner in record.items() if inner is not None}, place, plain)


def _body(value: Mapping[str, Any]) -> tuple[str, str, str]:
    """Find the body to read.

    Returns:
        "text" or "html", the body ("" if there is none), and the field that may be dropped for it.
    """
    found: dict[str, tuple[str, str]] = {}
    for kind, body, field in _bodies(value):
        if body.strip():
            markup = "html" in kind or "nitf" in kind or ("text" not in kind and _MARKUP.search(body))
            found.setdefault("html" if markup else "text", (body, field))
    for form in ("text", "html"):
        if form in found:
            return form, *found[form]
    return "text", "", ""


def _bodies(value: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the form of each body in words of its own, the body, and the field to drop if it is the one."""
    for key, inner in value.items():
        if key.startswith("body_") and isinstance(inner, str):
            yield key.removeprefix("body_").lower(), inner, key
    for field in _BODIES:
        entries = value.get(field)
        if isinstance(entries, str):
            yield "", entries, field
        entries = entries if isinstance(entries, list) else []
        for entry in entries:
            if isinstance(entry, Mapping) and isinstance(entry.get("value"), str):
                kind = entry.get("contenttype") or entry.get("contentType") or entry.get("role") or ""
                kind = {"text/plain": "text", "text/html": "html"}.get(kind, str(kind).lower().replace("text/", ""))
                # Other bodies in the list must not be lost with this one.
                yield kind, entry["value"], field if len(entries) == 1 else ""


def _headline(value: Mapping[str, Any]) -> str | None:
    """Find the main headline, or else the first one, as plain words."""
    for field in _HEADLINES:
        entries = value.get(field)
        if isinstance(entries, str):
            return entries
        entries = entries if isinstance(entries, list) else []
        named = [entry for entry in entries if isinstance(entry, Mapping) and isinstance(entry.get("value"), str)]
        for entry in sorted(named, key=lambda entry: entry.get("role", entry.get("name")) != "main"):
            markup = "html" in str(entry.get("contenttype") or entry.get("contentType") or "")
            return html.unescape(_MARKUP.sub("", entry["value"])) if markup else str(entry["value"])
    return None


def _outlet(value: Mapping[str, Any]) -> str | None:
    for key in ("source", "provider", "infosources", "infosource", "copyrightholder"):
        found = value.get(key)
        found = found[0] if isinstance(found, list) and found else found
        found = found.get("name") if isinstance(found, Mapping) else found
        if isinstance(found, str) and found:
            return found
    return None


def _page(body: str, title: str | None) -> str:
    """Put a body that is a piece of a page into a page, for the extractor to see an article."""
    if re.search(r"<(?:html|body)[\s>]", body[:2000], re.IGNORECASE):
        return body
    head = f"<title>{html.escape(title)}</title>" if title else ""
    return f"<!DOCTYPE html><html><head>{head}</head><body><article>{body}</article></body></html>"
