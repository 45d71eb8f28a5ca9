"""What reading yields: a record under the house's names, or the reason why there is none."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from serving.archive.formats import MAX_RAW_CHARACTERS, ReadOptions


@dataclass(frozen=True)
class Item:
    """One record of an input, or what stands in its place.

    Attributes:
        place: Where it begins: `path:line`, `path:row 12`, `path:item 3` or `path@offset <address>`.
        record: `{"id", "text" or "html", "title"?, "outlet"?, "url"?, "published_at"?, "language"?, ...}`; fields of
            other names are carried through. None for a reject.
        error: Why it is a reject; None for a record.
        raw: The beginning of a rejected record, at most MAX_RAW_CHARACTERS characters; "" for a record.
        skipped: Whether nothing is wrong with the reject but that it holds no words of news, such as a picture.
    """

    place: str
    record: Mapping[str, Any] | None
    error: str | None = None
    raw: str = ""
    skipped: bool = False


# An item that is made when it is asked for: passing over it costs no parsing.
Deferred = Callable[[], Item]


def reject(place: str, problem: str, raw: bytes | str = b"", skipped: bool = False) -> Item:
    """Make an item of what cannot be read.

    Args:
        problem: `expected <what>, but found <what>. <One thing to do>.`
        raw: The record as it stands; its beginning is kept.
    """
    if isinstance(raw, bytes):
        raw = raw[: 4 * MAX_RAW_CHARACTERS].decode("utf-8", "backslashreplace")
    else:
        raw = raw[:MAX_RAW_CHARACTERS].encode("utf-8", "backslashreplace").decode()
    return Item(place, None, f"{place}: {problem}", raw[:MAX_RAW_CHARACTERS], skipped)


def to_item(values: Mapping[str, Any], place: str, options: ReadOptions, raw: bytes | str = b"") -> Item:
    """Make an item of the fields of one record: known ones get the house's names, the others are carried through.

    A known field that is empty is left out. A field that the caller did not map, but that has a house's name, is
    carried as `<name>_given`, so that nothing is lost and nothing is taken for what it is not.

    Args:
        raw: The record as it stands, for a reject.
    """
    fields = options.fields
    record: dict[str, Any] = {}
    for name, field in fields.items():
        value = values.get(field) if field else None
        if value is None or value == "":
            continue
        if name in ("text", "html"):
            record[name] = value
        elif name == "id":
            try:
                record[name] = _identifier(value)
            except ValueError as error:
                return reject(
                    place,
                    f"field {field!r}: expected a string, but found {error}. Give an id or leave it out.",
                    raw or _as_json(values),
                )
        elif isinstance(value, str | int | float):
            record[name] = str(value)
        else:
            record[f"{name}_given"] = value
    if "text" not in record and "html" not in record:
        return reject(place, _no_text(values, options), raw or _as_json(values))
    record.setdefault("id", place)
    known = set(fields.values())
    for field, value in values.items():
        if field not in known:
            record[f"{field}_given" if field in fields else field] = value
    return Item(place, record)


def _identifier(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        # A column of whole numbers with a gap in it comes as floats.
        return str(int(value))
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(type(value).__name__)
    return str(value)


def _no_text(values: Mapping[str, Any], options: ReadOptions) -> str:
    field = options.text_field
    if field in values:
        return f"field {field!r}: expected a text, but found an empty one. Give the text, or leave the record out."
    names = ", ".join(sorted(map(str, values))) or "none"
    return (
        f"expected a text in the field {field!r}, but found the fields {names:.500}. Name the right one (text_field)."
    )


def no_column(options: ReadOptions, names: Iterable[str]) -> str:
    """Say that a table has no column of texts."""
    found = f"the columns {sorted(names)}"
    return f"expected a column {options.text_field!r}, but found {found:.1000}. Name the right one (text_field)."


def _as_json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, default=str)
