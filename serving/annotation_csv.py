r"""Sentences to label as a table for a spreadsheet, and back.

One row a sentence. `labelled` holds `yes` once a person has been through the row: only such rows are read back. A
column for each sentence axis holds labels, joined by `;`. The mention and the target axis hold `words=label`, joined by
` | `; `words#2=label` means the second place where the words stand. A backslash before one of `\ | = # ;` takes its
meaning away. An empty cell says that nothing holds; `?` that the axis was not labelled.

A cell that a spreadsheet would take for a formula begins with an apostrophe, which reading takes off again. That goes
for any number of apostrophes before such a beginning, so that every text comes back as it was.
Source: OWASP, "CSV Injection".
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from model.codebook import SENTENCE, TARGET, Axis, Codebook
from model.errors import RecordError
from model.jsonl import dumps, finite, loads
from model.records import phrase_key
from serving.annotation_forms import (
    LABELLED,
    META,
    SELECTED,
    UNCERTAIN_AXIS,
    UNCERTAINTY,
    Row,
    need,
    origin,
    reasons,
)
from serving.selection import Chosen

YES, NOT_LABELLED = "yes", "?"
_SAID_YES, _SAID_NO = {YES, "y", "x", "1", "true"}, {"", "no", "n", "0", "false"}
_FORMULA = "=+\\-@\t\r\n＝＋－＠"
_GUARDED = re.compile(rf"'+[{_FORMULA}]")
_TO_GUARD = re.compile(rf"'*[{_FORMULA}]")
_DELIMITERS = ",;\t"  # spreadsheets write the second where the comma stands in numbers
_CELL_CHARACTERS = 1 << 20


def write_csv(chosen: Sequence[Chosen], codebook: Codebook, predictions: bool) -> str:
    """Write one row a sentence; suggestions stand in the cells, to be corrected."""
    axes = _axes(codebook)
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\r\n")
    table.writerow(_columns(codebook))
    for item in chosen:
        text, suggestion = item.candidate.text, item.candidate.suggestion
        cells = [_cell(axis, suggestion[axis.name], text) if predictions else "" for axis in axes]
        why = [str(value) for value in reasons(item).values()]
        row = [item.candidate.id, text, "", *cells, *why, dumps(origin(item))]
        table.writerow([guarded(cell) for cell in row])
    return "\ufeff" + out.getvalue()


def read_csv(path: Path, codebook: Codebook) -> Iterator[Row]:
    """Read rows back.

    Raises:
        RecordError: The file is no table of this form.
    """
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordError(
            f"{path}: expected UTF-8 text, but found other bytes at offset {error.start}. Save it as CSV UTF-8."
        ) from None
    header, rows = _table(content, path)
    known = _columns(codebook)
    missing = [name for name in ("id", "text", LABELLED) if name not in header]
    need(not missing, f"{path}: row 1", f"the columns {known}", f"no {missing}", "Restore the header")
    odd = [name for name in header if name not in known or header.count(name) > 1]
    need(not odd, f"{path}: row 1", f"the columns {known}, each once", f"also {odd}", "Remove or rename them")
    for number, cells in rows:
        where = f"{path}: row {number}"
        raw = dict(zip(header, (unguarded(cell) for cell in cells), strict=False))
        try:
            need(len(cells) <= len(header), where, f"{len(header)} cells", f"{len(cells)}", "Remove the others")
            yield Row(where, raw, _answers(raw, codebook, where))
        except RecordError as error:
            yield Row(where, raw, {}, str(error))


def guarded(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return "'" + cell if _TO_GUARD.match(cell) else cell


def unguarded(cell: str) -> str:
    """What `guarded` was given."""
    return cell[1:] if _GUARDED.match(cell) else cell


def _axes(codebook: Codebook) -> list[Axis]:
    """The axes in the order of columns: those of the whole sentence first."""
    return sorted(codebook.axes, key=lambda axis: (axis.kind != SENTENCE, axis.kind == TARGET))


def _columns(codebook: Codebook) -> list[str]:
    axes = [axis.name for axis in _axes(codebook)]
    return ["id", "text", LABELLED, *axes, SELECTED, UNCERTAINTY, UNCERTAIN_AXIS, META]


def _table(content: str, path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The header, and each row that is not blank with its number as a spreadsheet shows it."""
    first = content.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    previous = csv.field_size_limit(_CELL_CHARACTERS)
    try:
        rows = list(csv.reader(io.StringIO(content, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise RecordError(f"{path}: expected a CSV table, but found an error: {error}. Save it as CSV UTF-8.") from None
    finally:
        csv.field_size_limit(previous)
    need(rows, f"{path}", "a CSV table", "an empty file", "Check the path")
    header = [name.strip() for name in rows[0]]
    return header, ((n, row) for n, row in enumerate(rows[1:], 2) if any(cell.strip() for cell in row))


def _answers(raw: Mapping[str, str], codebook: Codebook, where: str) -> dict[str, dict[str, Any]]:
    said = raw.get(LABELLED, "").strip().lower()
    expected = f"{YES!r} or nothing"
    need(said in _SAID_YES | _SAID_NO, where, f"{expected} in column '{LABELLED}'", repr(said), "Correct the cell")
    if said in _SAID_NO:
        return {}
    text = raw.get("text", "")
    record: dict[str, Any] = {"id": raw.get("id", "").strip() or where, "text": text}
    for axis in codebook.axes:
        cell = raw.get(axis.name, NOT_LABELLED).strip()
        if cell == NOT_LABELLED:
            continue
        parts = _split(cell, ";" if axis.kind == SENTENCE else "|")
        items = [part.strip() for part in parts if part.strip()]
        if axis.kind == SENTENCE:
            record[axis.name] = [_plain(item) for item in items]
        else:
            place = f"{where}: column '{axis.name}'"
            record[axis.name] = [_labelled_words(item, axis, text, place) for item in items]
    meta = raw.get(META, "").strip() or "{}"
    try:
        origin_fields = loads(meta)
    except ValueError:
        origin_fields = None
    need(isinstance(origin_fields, dict), where, f"a JSON object in column '{META}'", f"{meta!r:.80}", "Restore it")
    why: dict[str, Any] = {key: raw[key] for key in (SELECTED, UNCERTAIN_AXIS) if raw.get(key)}
    with suppress(ValueError):  # a spreadsheet may write numbers in its own way; nothing depends on this one
        why[UNCERTAINTY] = finite(raw.get(UNCERTAINTY, ""))
    return {"": origin_fields | why | record}


def _cell(axis: Axis, suggested: Sequence[Any], text: str) -> str:
    if axis.kind == SENTENCE:
        return ";".join(_escaped(label) for label in suggested)
    return " | ".join(_words_of(item, axis, text) for item in suggested)


def _words_of(item: Mapping[str, Any], axis: Axis, text: str) -> str:
    words = item[phrase_key(axis)]
    starts = _starts(words, text)
    place = f"#{starts.index(item['start']) + 1}" if len(starts) > 1 else ""
    return f"{_escaped(words)}{place}={_escaped(item['label'])}"


def _labelled_words(item: str, axis: Axis, text: str, where: str) -> dict[str, Any]:
    *left, label = _split(item, "=")
    need(left, where, "words=label", repr(item), "Write the words, = and their label")
    words = "=".join(left).strip()
    record: dict[str, Any] = {"label": _plain(label).strip()}
    *before, last = _split(words, "#")
    if before and last.isdecimal():
        words = "#".join(before)
        starts, place = _starts(_plain(words), text), int(last)
        found = f"{len(starts)} such places"
        need(1 <= place <= len(starts), where, f"the words of {item!r} in the text", found, "Correct the number")
        record["start"] = starts[place - 1]
    return {phrase_key(axis): _plain(words), **record}


def _starts(words: str, text: str) -> list[int]:
    return [n for n in range(len(text)) if text.startswith(words, n)] if words else []


def _escaped(words: str) -> str:
    return re.sub(r"[\\|=#;]", r"\\\g<0>", words)


def _plain(words: str) -> str:
    return re.sub(r"\\(.)", r"\1", words, flags=re.DOTALL)


def _split(cell: str, separator: str) -> list[str]:
    """Split where the separator stands without a backslash before it."""
    parts = [""]
    for piece in re.findall(r"\\.|.", cell, flags=re.DOTALL):
        if piece == separator:
            parts.append("")
        else:
            parts[-1] += piece
    return parts
