"""One real archive in four forms, labelled by the shipped model: the form changes nothing."""

import json
import re
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from serving.archive import ArchiveOptions, score_archive
from tests.conftest import ROOT
from tests.serving.archive.kitchen import rows
from tests.serving.archive.make_inputs import WRITERS

FAKES = ROOT / "../shared/corpora/fa-kes/articles.jsonl"
# What hangs on where a record came from, and not on its words.
OF_THE_FORM = {"id", "document_id", "repeat_of", "outlet", "published_at", "extra"}
LEAST = 5_000  # sentences


def labelled(folder: Path, form: str, records: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The sentences of each document, with all that the model says of them."""
    score_archive([str(WRITERS[form](folder, records))], folder / form, ArchiveOptions(workers=2))
    assert (folder / form / "rejects.jsonl").read_bytes() == b""
    found = [
        {name: counted_from(row["start"], value, name) for name, value in row.items() if name not in OF_THE_FORM}
        for row in rows(folder / form)
    ]
    return [list(sentences) for _, sentences in groupby(found, key=lambda row: row["document"])]


def counted_from(start: int, value: Any, name: str = "") -> Any:
    """A value of a row, its offsets counted from its sentence and not from its document."""
    if isinstance(value, dict):
        return {key: counted_from(start, item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [counted_from(start, item) for item in value]
    return value - start if name in ("start", "end") else value


def as_a_page_has_it(text: str) -> str:
    """Pages know no tabs and no double spaces; and only of a text is the number at its head taken for a list's."""
    return re.sub(r"^\d+\. ", "", re.sub(r"\s+", " ", text))


@pytest.mark.slow
@pytest.mark.skipif(not FAKES.is_file(), reason=f"no archive at {FAKES}")
def test_the_whole_archive_has_the_same_labels_from_lines_a_table_columns_and_captures(tmp_path: Path) -> None:
    read = map(json.loads, FAKES.read_text(encoding="utf-8").splitlines())
    # Without the titles, which a page takes into its text.
    records = [{"id": record["id"], "text": as_a_page_has_it(record["text"])} for record in read]
    expected = labelled(tmp_path, "jsonl", records)
    assert len(expected) == len(records)
    assert sum(map(len, expected)) >= LEAST
    for form in ("csv", "parquet", "warc.gz"):
        assert labelled(tmp_path, form, records) == expected, form
