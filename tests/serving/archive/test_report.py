"""The page of a run: its numbers, that it stands alone, and that it takes no text for more than text."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from model.codebook import Codebook, parse_codebook
from serving.archive import figures
from serving.archive.errors import ArchiveError
from serving.archive.figures import CopyFlags, Figures, count_documents
from serving.archive.options import ArchiveOptions
from serving.archive.report import write_report
from serving.archive.run import score_archive
from tests.serving.archive.kitchen import write_archive
from tests.serving.archive.made_run import Document, write_run

WIRE = "The cooks of both towns met on Monday and agreed on a stew of beef and kale, the kitchen news agency said."
OWN = "Our own reporter ate seven bowls of it, and has this to tell of the bread, the salt and the company there."


def documents() -> list[Document]:
    return [
        Document([["start"], []], "spoon", "2020-01-05", words=WIRE),
        Document([["start"], ["start"], [], []], "fork", "2020-01-20", words=WIRE),  # a copy of the first
        Document([[], ["meat"], [], []], "spoon", "2020-03-01", words=OWN),
        Document([["start", "meat"]], None, None, words=""),
    ]


def counted(folder: Path, codebook: Codebook, copies: bool = True) -> Figures:
    made = documents()
    write_run(folder, codebook, made, copies)
    return count_documents(folder, codebook, CopyFlags(folder, len(made)))


def column(found: Figures, axis: str, label: str) -> int:
    return [(m.axis, m.label) for m in found.measures].index((axis, label))


# ---- Numbers ----


def test_rates_by_outlet_with_and_without_copies(tmp_path: Path, tiny_codebook: Codebook) -> None:
    found = counted(tmp_path, tiny_codebook)
    start = column(found, "stage", "start")
    # spoon: 1 of 2 and 0 of 4 sentences; fork: 2 of 4, in the one document that is a copy; no outlet: 1 of 1.
    assert [(row.name, row.documents, row.sentences) for row in found.outlets] == [
        ("spoon", 2, 6), ("fork", 1, 4), (None, 1, 1)
    ]  # fmt: skip
    assert [row.rates[start].value for row in found.outlets] == [1 / 6, 2 / 4, 1]
    assert [row.without[start].value for row in found.outlets] == [1 / 6, None, 1]
    assert (found.everything.rates[start].value, found.everything.without[start].value) == (4 / 11, 2 / 7)
    # Draws of spoon's two documents: twice the first gives 1/2, twice the second 0, in a quarter of the draws each.
    assert found.outlets[0].rates[start].interval == pytest.approx((0, 1 / 2))
    assert found.outlets[1].rates[start].interval is None


def test_copies_are_counted_for_the_outlet_that_took_and_for_the_one_that_gave(
    tmp_path: Path, tiny_codebook: Codebook
) -> None:
    found = counted(tmp_path, tiny_codebook)
    assert [(row.taken, row.repeats, row.given) for row in found.outlets] == [(0, 0, 1), (1, 0, 0), (0, 0, 0)]
    assert (found.everything.taken, found.everything.repeats, found.everything.given) == (1, 0, 1)
    assert found.judged == 3


def test_mentions_are_a_share_of_mentions(tmp_path: Path, tiny_codebook: Codebook) -> None:
    found = counted(tmp_path, tiny_codebook)
    meat = found.everything.rates[column(found, "foods", "meat")]
    tasty = found.everything.rates[column(found, "verdict", "tasty")]
    assert (meat.part, meat.whole) == (tasty.part, tasty.whole) == (2, 2)
    diet = found.everything.rates[column(found, "diet", "meat")]
    assert (diet.part, diet.whole) == (2, 11)


def test_over_time_a_period_without_documents_is_a_gap(tmp_path: Path, tiny_codebook: Codebook) -> None:
    found = counted(tmp_path, tiny_codebook)
    start = column(found, "stage", "start")
    assert found.period_names == ["2020-01", "2020-02", "2020-03"]
    assert [row and row.rates[start].value for row in found.periods] == [3 / 6, None, 0]
    assert found.periods[1] is None
    assert (found.unit, found.undated) == ("month", 1)


def test_without_the_table_of_copies_only_everything_is_counted(tmp_path: Path, tiny_codebook: Codebook) -> None:
    found = counted(tmp_path, tiny_codebook, copies=False)
    assert found.judged is None
    assert found.everything.without is None
    assert found.everything.rates[column(found, "stage", "start")].value == 4 / 11


def test_the_smallest_of_many_outlets_are_taken_together(
    tmp_path: Path, tiny_codebook: Codebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "MOST_OUTLETS", 2)
    made = [Document([["start"]], outlet) for outlet in "aaabbcde"]
    found = count_documents(write_run(tmp_path, tiny_codebook, made), tiny_codebook, CopyFlags(tmp_path, 8))
    assert [row.name for row in found.outlets] == ["a", "b"]
    assert (found.rest.documents, found.rest_outlets) == (3, 3)
    assert "3 other outlets" in write_report(tmp_path).read_text(encoding="utf-8")


# ---- The page ----


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.headings: list[int] = []
        self.feed(content)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(folder: Path, codebook: Codebook, made: list[Document] | None = None, copies: bool = True) -> str:
    return write_report(write_run(folder, codebook, made or documents(), copies)).read_text(encoding="utf-8")


@pytest.mark.parametrize("copies", [True, False])
def test_the_page_is_well_formed_and_loads_nothing(tmp_path: Path, tiny_codebook: Codebook, copies: bool) -> None:
    content = page_of(tmp_path, tiny_codebook, copies=copies)
    page = Page(content)
    loading = {"script", "link", "img", "iframe", "object", "embed", "base", "form", "video", "audio", "source", "use"}
    assert {tag for tag, _ in page.tags} & loading == set()
    for _, attributes in page.tags:
        assert not {"src", "srcset", "style", "action", "background"} & set(attributes)
        assert attributes.get("href", "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)
    assert "url(" not in content
    assert "@import" not in content
    assert "http" not in content


def test_the_page_can_be_read_by_those_who_do_not_see_it(tmp_path: Path, tiny_codebook: Codebook) -> None:
    page = Page(page_of(tmp_path, tiny_codebook))
    assert ("html", {"lang": "en"}) in page.tags
    assert page.headings[0] == 1
    assert all(later - earlier <= 1 for earlier, later in zip(page.headings, page.headings[1:], strict=False))
    plots = [attributes for tag, attributes in page.tags if tag == "svg"]
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(plots) == 2 * 12  # each label by outlet and over time
    assert len(set(names)) == len(names)
    assert {plot["aria-labelledby"] for plot in plots} <= set(names)
    tables = [tag for tag, _ in page.tags].count("table")
    assert [tag for tag, _ in page.tags].count("caption") == tables
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")


def test_the_page_says_the_numbers_that_were_counted(tmp_path: Path, tiny_codebook: Codebook) -> None:
    content = page_of(tmp_path, tiny_codebook)
    assert re.search(r">spoon</span></th><td>2</td>.*?<td>16.7 %</td><td>0.0 to 50.0</td>", content, re.DOTALL)
    assert "1 of 3 documents with words (33.3 %) repeat an earlier one" in " ".join(content.split())
    assert "no outlet given" in content
    assert "The first steps." in content  # a definition of the codebook


HOSTILE = '</title></svg><script>alert(1)</script><img src=x onerror="x"> {{ 7 * 7 }} & \'"'


def test_hostile_text_stays_text_wherever_it_comes_from(tmp_path: Path, tiny_codebook: Codebook) -> None:
    quoted = json.dumps(f"The first steps. {HOSTILE}")
    source = tiny_codebook.source.replace("definition: The first steps.", f"definition: {quoted}")
    codebook = parse_codebook(source.replace("When does it happen?", json.dumps(f"When? {HOSTILE}")), "hostile.yaml")
    made = documents()
    made[0] = Document([["start", "meat"]], HOSTILE, "2020-01-05", id=HOSTILE, texts=[f"{HOSTILE} and more."])
    made[1].published_at = f"2020-01-07 {HOSTILE}"
    write_run(tmp_path, codebook, made)
    (tmp_path / "rejects.jsonl").write_text(json.dumps({"place": HOSTILE, "error": HOSTILE, "raw": HOSTILE}) + "\n")
    content = write_report(tmp_path).read_text(encoding="utf-8")
    Page(content)
    assert "<script" not in content
    assert "<img" not in content
    assert "{{ 7 * 7 }}" in content
    assert content.count("&lt;/title&gt;&lt;/svg&gt;&lt;script&gt;") > 10


def test_the_page_is_the_same_when_it_is_made_again(tmp_path: Path, tiny_codebook: Codebook) -> None:
    first = page_of(tmp_path, tiny_codebook)
    assert write_report(tmp_path, tmp_path / "again.html").read_text(encoding="utf-8") == first


def test_rejected_records_are_counted_and_the_first_ones_shown(tmp_path: Path, tiny_codebook: Codebook) -> None:
    write_run(tmp_path, tiny_codebook, documents())
    lines = [json.dumps({"place": f"a:{n}", "error": f"a:{n}: expected JSON.", "raw": ""}) for n in range(12)]
    (tmp_path / "rejects.jsonl").write_text("\n".join(lines) + "\n")
    content = write_report(tmp_path).read_text(encoding="utf-8")
    assert "The first 10 of 12 rejected records" in content
    assert "a:9: expected JSON." in content
    assert "a:10: expected JSON." not in content


def test_a_run_that_wrote_its_sentences_otherwise_shows_none(tmp_path: Path, tiny_codebook: Codebook) -> None:
    write_run(tmp_path, tiny_codebook, documents())
    for part in (tmp_path / "sentences").iterdir():
        part.unlink()
    content = write_report(tmp_path).read_text(encoding="utf-8")
    assert "This run wrote no Parquet table of its sentences: there are none to show." in content
    assert ">spoon</span>" in content


def test_a_scored_archive_gets_its_page(tmp_path: Path, tiny_artifact) -> None:
    inputs = write_archive(tmp_path / "in", 40)
    options = ArchiveOptions(model=tiny_artifact.folder, workers=None)
    result = score_archive(inputs, tmp_path / "out", options)
    content = write_report(tmp_path / "out").read_text(encoding="utf-8")
    Page(content)
    assert "Framing in an archive of 40 documents" in content
    assert f">{result.counts['labelled']}</td>" in content
    assert "The first 4 of 4 rejected records" in content
    assert content.count("<mark>") > 5


# ---- Refusals ----


def test_a_run_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError) as refusal:
        write_report(tmp_path)
    assert str(refusal.value) == (
        f"{tmp_path}/manifest.json: expected the manifest of a finished run, but found none. "
        "Run `newsframe score` to its end."
    )


def test_a_run_without_documents_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ArchiveError) as refusal:
        write_report(tmp_path)
    assert str(refusal.value) == (
        f"{tmp_path}/documents: expected at least one document, but found none. Score an archive that has some."
    )


def test_copies_of_other_documents_are_refused(tmp_path: Path, tiny_codebook: Codebook) -> None:
    write_run(tmp_path / "one", tiny_codebook, documents())
    write_run(tmp_path / "two", tiny_codebook, documents()[:2])
    (tmp_path / "two/copies.parquet").replace(tmp_path / "one/copies.parquet")
    with pytest.raises(ArchiveError) as refusal:
        write_report(tmp_path / "one")
    assert str(refusal.value) == (
        f"{tmp_path}/one/copies.parquet: expected a row for each of the 4 documents, but found 2. "
        "Run `newsframe score` again, which finishes what is there."
    )


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, tiny_codebook: Codebook) -> None:
    write_run(tmp_path / "run", tiny_codebook, documents())
    with pytest.raises(ArchiveError) as refusal:
        write_report(tmp_path / "run", tmp_path / "nowhere/page.html")
    assert str(refusal.value) == (
        f"{tmp_path}/nowhere/page.html: expected a place for a file, but found No such file or directory. "
        "Choose another."
    )
