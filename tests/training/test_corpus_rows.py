"""Corpora that carry labels of their own, a row each: read by the names of their fields, for training and for scoring."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from model.codebook import parse_codebook
from model.errors import ConfigError, RecordError
from model.spans import Span
from training.sources import TRAIN, Source, labelled_rows, load_rows, load_source, load_sources

TEXT = "Beef beats kale."
COURSES = """
name: courses
version: "1"
axes:
  course:
    kind: sentence
    exclusive: true
    question: Which course?
    definition: The course that the dish is.
    labels: {starter: {definition: It comes first.}, main: {definition: It fills.}}
"""


@pytest.fixture
def corpus(tmp_path):
    """Write rows as a corpus `recipes`, and give the file."""

    def write(*rows: dict[str, object]):
        folder = tmp_path / "recipes"
        folder.mkdir(exist_ok=True)
        (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return folder / "t.jsonl"

    return write


def source(**fields) -> Source:
    entry = {"name": "r", "role": TRAIN, "licence": "MIT", "annotators": "me", "corpus": "recipes", "texts": "t.jsonl"}
    return Source(**{**entry, **fields})


COURSE = {"axis": "course", "label_field": "kind", "labels": {"1": "starter", "2": "main"}}
VERDICT = {"axis": "verdict", "label_field": "taste", "start_field": "at", "end_field": "to"}


def test_a_label_of_the_sentence_is_read_by_the_name_of_its_field(tmp_path, corpus):
    corpus({"id": "a", "text": "Soup.", "kind": 1}, {"id": "b", "text": "Soup.", "kind": 2})
    codebook = parse_codebook(COURSES, "courses")
    gold = load_source(source(**COURSE), tmp_path, tmp_path, codebook).gold
    # Rows of one text stay apart: each is a decision of its own.
    assert [(s.id, s.article, s.labels) for s in gold] == [
        ("r/1", "recipes/a", {"course": frozenset(["starter"])}),
        ("r/2", "recipes/b", {"course": frozenset(["main"])}),
    ]


def test_labels_that_the_codebook_uses_itself_need_no_other_names(tmp_path, corpus, tiny_codebook):
    corpus({"id": "a", "text": "Serve.", "stages": ["finish", "start"]}, {"id": "b", "text": "Eat.", "stages": []})
    rows = source(axis="stage", label_field="stages")
    gold = load_source(rows, tmp_path, tmp_path, tiny_codebook).gold
    assert [s.labels for s in gold] == [{"stage": frozenset(["start", "finish"])}, {"stage": frozenset()}]


def test_a_target_is_read_by_the_names_of_its_fields(tmp_path, corpus, tiny_codebook):
    path = corpus({"id": "a", "text": TEXT, "at": 11, "to": 15, "taste": "tasty"})
    [sentence] = labelled_rows(source(**VERDICT), path, tiny_codebook)
    assert [(t.span, t.label) for t in sentence.targets] == [(Span(11, 15), "tasty")]
    assert sentence.has_targets_alone


def test_in_scoring_every_row_counts_and_in_training_every_span_once(tmp_path, corpus, tiny_codebook):
    row = {"id": "a", "text": TEXT, "at": 0, "to": 4, "taste": "tasty"}
    path = corpus(row, row, row | {"at": 11, "to": 15, "taste": "undecided"})
    assert [len(s.targets) for s in labelled_rows(source(**VERDICT), path, tiny_codebook)] == [1, 1, 1]
    [joined] = load_source(source(**VERDICT), tmp_path, tmp_path, tiny_codebook).gold
    assert [t.label for t in joined.targets] == ["tasty", "undecided"]


def test_under_a_codebook_of_targets_alone_a_sentence_is_annotated_whole(corpus, tiny_codebook):
    alone = dataclasses.replace(tiny_codebook, axes=(tiny_codebook.target_axis,))
    path = corpus({"id": "a", "text": TEXT, "at": 0, "to": 4, "taste": "tasty"})
    [sentence] = labelled_rows(source(**VERDICT), path, alone)
    assert not sentence.has_targets_alone  # so that a split by article may hold it out


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": TEXT}, ":1: expected the fields ['id', 'text', 'taste', 'at', 'to'], but found none of ['id', 'taste', "
         "'at', 'to']. Name its own in the source."),
        ({"id": "a", "text": TEXT, "at": 0, "to": 4, "taste": "bland"}, ":1: field 'taste': expected a value that stands for "
         "one of ['tasty', 'too salty', 'undecided'], but found 'bland'. Add it to the labels of the source."),
        ({"id": "a", "text": TEXT, "at": 4, "to": 99, "taste": "tasty"}, ":1: fields ['at', 'to']: expected 0 <= start < end "
         "<= 16 around words, but found start=4, end=99. Count code points."),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_read_is_refused(corpus, tiny_codebook, row, message):
    path = corpus(row)
    with pytest.raises(RecordError, match=f"^{re.escape(str(path) + message)}$"):
        labelled_rows(source(**VERDICT), path, tiny_codebook)


def test_a_corpus_whose_axis_the_codebook_lacks_is_left_out_and_said(tmp_path, corpus, tiny_codebook):
    corpus({"id": "a", "text": TEXT, "kind": 1})
    loaded = load_source(source(**COURSE), tmp_path, tmp_path, tiny_codebook)
    assert (loaded.gold, loaded.missing) == ([], "the codebook kitchen-notes has no axis 'course'")


def written(folder, *entries: dict[str, object], key: str = "corpora"):
    path = folder / "sources.yaml"
    path.write_text(json.dumps({key: list(entries)}))  # JSON is YAML
    return path


ENTRY = {
    "name": "r",
    "role": "train",
    "licence": "none stated",
    "annotators": "me",
    "corpus": "recipes",
    "texts": "t.jsonl",
}


def test_a_source_for_benchmarks_may_train_under_any_licence(tmp_path):
    [found] = load_sources(written(tmp_path, ENTRY | {"benchmark": True}))
    assert (found.role, found.benchmark) == ("train", True)


def test_a_file_in_the_form_of_a_corpus_is_read_row_by_row(tmp_path, corpus):
    path = corpus({"id": "a", "text": "Soup.", "kind": 1})
    sources = written(tmp_path, ENTRY | {"benchmark": True, **COURSE})
    assert [s.id for s in load_rows(path, sources, parse_codebook(COURSES, "courses"))] == ["r/1"]


def test_files_of_one_corpus_share_a_form(tmp_path, corpus):
    path = corpus({"id": "a", "text": "Soup.", "kind": 1})
    entry = ENTRY | {"benchmark": True, **COURSE}
    sources = written(tmp_path, entry, entry | {"name": "r-dev", "texts": "dev.jsonl", "fixed_part": "dev"})
    assert [s.id for s in load_rows(path, sources, parse_codebook(COURSES, "courses"))] == ["r/1"]


def test_a_file_of_sources_with_several_forms_is_refused(tmp_path, corpus):
    path = corpus({"id": "a", "text": "Soup.", "kind": 1})
    entry = ENTRY | {"benchmark": True, **COURSE}
    sources = written(tmp_path, entry, entry | {"name": "other", "label_field": "type"})
    with pytest.raises(ConfigError, match=r"but found \['r', 'other'\]"):
        load_rows(path, sources, parse_codebook(COURSES, "courses"))


def test_a_file_of_sources_that_describes_no_one_form_is_refused(tmp_path, tiny_codebook):
    sources = written(tmp_path, ENTRY | {"benchmark": True})
    message = f"{sources}: expected a source with an 'axis', whose form gold.jsonl has, and no other form beside it, but found []. Give a file with that one."
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        load_rows(Path("gold.jsonl"), sources, tiny_codebook)


def test_a_file_of_sources_under_another_key_is_refused(tmp_path):
    path = written(tmp_path, ENTRY, key="corpuses")
    message = (
        f"{path}: expected lists of sources under ['annotations', 'target_corpora', 'corpora'], but found ['corpuses']. "
        "Rename them."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        load_sources(path)


def test_a_missing_file_of_sources_is_refused(tmp_path):
    path = tmp_path / "none.yaml"
    message = f"{path}: expected a YAML file of sources, but found: No such file or directory. Check it."
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        load_sources(path)
