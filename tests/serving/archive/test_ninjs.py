"""News items of the IPTC's two generations become the same records."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from model.labeller import read_document
from serving.archive.formats import ReadOptions
from serving.archive.readers import read_items
from serving.archive.sources import find_sources

PROSE = "The bakers of the old quarter said on Monday that they would strike, for flour has become dearer."


def record_of(item: Mapping[str, Any], folder: Path, options: ReadOptions | None = None) -> Mapping[str, Any]:
    path = folder / "item.json"
    path.write_text(json.dumps(item))
    [source] = find_sources([str(path)])
    [found] = read_items(source, options or ReadOptions())
    assert found.record is not None, found.error
    return found.record


def test_the_first_generation_names_forms_by_fields(tmp_path: Path) -> None:
    item = {
        "uri": "http://e.org/1",
        "versioncreated": "2017-04-07T09:14:00Z",
        "firstcreated": "2017-04-06T09:14:00Z",
        "headline": "Bakers strike",
        "body_html": f"<p>{PROSE}</p>",
        "body_text": PROSE,
        "source": "The Paper",
        "language": "en-GB",
        "subject": [{"name": "bread"}],
        "by": "A. Writer",
    }
    assert record_of(item, tmp_path) == {
        "id": "http://e.org/1",
        "text": PROSE,
        "title": "Bakers strike",
        "outlet": "The Paper",
        "url": "http://e.org/1",
        "published_at": "2017-04-07T09:14:00Z",
        "language": "en-GB",
        "firstcreated": "2017-04-06T09:14:00Z",
        "body_html": f"<p>{PROSE}</p>",
        "source": "The Paper",
        "subject": [{"name": "bread"}],
        "by": "A. Writer",
    }


def test_the_second_generation_lists_bodies_and_headlines(tmp_path: Path) -> None:
    item = {
        "uri": "urn:newsml:e.org:1",
        "contentcreated": "2017-04-07T09:14:00Z",
        "headlines": [
            {"role": "short", "value": "Short"},
            {"role": "main", "contenttype": "text/html", "value": "Bakers &amp; <b>millers</b>"},
        ],
        "bodies": [{"role": "main", "contenttype": "text/html", "value": f"<p>{PROSE}</p>"}],
        "infosources": [{"name": "The Paper"}],
    }
    record = record_of(item, tmp_path)
    assert {name: record[name] for name in ("id", "title", "outlet", "published_at")} == {
        "id": "urn:newsml:e.org:1",
        "title": "Bakers & millers",
        "outlet": "The Paper",
        "published_at": "2017-04-07T09:14:00Z",
    }
    assert "url" not in record
    assert "bodies" not in record
    article = read_document({"html": record["html"]}, "test")
    assert [block.of(article.text) for block in article.prose()] == ["Bakers & millers", PROSE]


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        ([{"value": PROSE}], "text"),
        ([{"value": f"<p>{PROSE}</p>"}], "html"),
        ([{"role": "html", "value": f"<p>{PROSE}</p>"}, {"contenttype": "text/plain", "value": PROSE}], "text"),
        ([{"contenttype": "application/nitf+xml", "value": f"<body.content><p>{PROSE}</p></body.content>"}], "html"),
        ([{"contentType": "text/html", "value": f"<html><body><p>{PROSE}</p></body></html>"}], "html"),
    ],
)
def test_a_plain_body_goes_before_one_with_markup(bodies: list[dict[str, str]], expected: str, tmp_path: Path) -> None:
    record = record_of({"uri": "urn:1", "bodies": bodies}, tmp_path)
    assert ("text" in record, "html" in record) == (expected == "text", expected == "html")
    # A body that was not chosen is not lost.
    assert ("bodies" in record) == (len(bodies) > 1)
    article = read_document({expected: record[expected]}, "test")
    assert PROSE in [block.of(article.text) for block in article.prose()]


def test_a_record_with_a_text_of_its_own_is_no_news_item(tmp_path: Path) -> None:
    item = {"uri": "urn:1", "text": "Some words.", "versioncreated": "2017"}
    assert record_of(item, tmp_path)["uri"] == "urn:1"
    mapped = {"uri": "urn:1", "body_text": "Some words.", "language": "en"}
    record = record_of(mapped, tmp_path, ReadOptions(text_field="body_text", id_field="uri"))
    assert record == {"id": "urn:1", "text": "Some words.", "language": "en"}


def test_fields_of_news_items_need_no_mapping(tmp_path: Path) -> None:
    item = {"uri": "urn:1", "body_text": "Some words.", "headline": "H"}
    options = ReadOptions(text_field="content", id_field="nr", title_field="name")
    assert record_of(item, tmp_path, options) == {"id": "urn:1", "text": "Some words.", "title": "H"}
