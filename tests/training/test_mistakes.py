"""What went wrong, where and how surely: confusion, slices, and the most confident errors."""

import math
import re

import pytest

from model.errors import RecordError
from model.predictions import Evidence, Scored
from model.spans import Span
from tests.training.sentences import BEEF, KALE, TEXT, gold_sentence, prediction
from training.confusion import confusion
from training.counts import count_table
from training.mistakes import mistakes
from training.scored_axes import NO_LABEL, scored_axes
from training.slices import check_field, slice_value, slices


def axes_of(codebook, *names):
    return [axis for axis in scored_axes(codebook) if axis.name in names]


# ---- Confusion ----


def test_targets_are_counted_gold_against_predicted(tiny_codebook):
    [axis] = axes_of(tiny_codebook, "verdict")
    gold = gold_sentence("1", None, [(*BEEF, "tasty"), (*KALE, "tasty"), (0, 3, "too salty")])
    said = prediction((), [(*BEEF, "tasty"), (*KALE, "undecided"), (0, 3, NO_LABEL)])
    assert confusion(axis, [(gold, said)]) == {
        "labels": ["tasty", "undecided", "too salty"],
        "matrix": [[1, 1, 0], [0, 0, 0], [0, 0, 0]],
        "unlabelled": [0, 0, 1],
    }


def test_spans_are_counted_where_they_match_exactly_and_else_as_missed_and_spurious(tiny_codebook):
    [axis] = axes_of(tiny_codebook, "foods")
    gold = gold_sentence("1", [(*BEEF, "meat"), (*KALE, "plant")])
    said = prediction([(*BEEF, "plant"), (13, 21, "plant")])
    assert confusion(axis, [(gold, said)]) == {
        "labels": ["meat", "plant", "staple"],
        "matrix": [[0, 1, 0], [0, 0, 0], [0, 0, 0]],
        "missed": [0, 1, 0],
        "spurious": [0, 1, 0],
    }


def test_each_label_of_many_is_counted_apart(tiny_codebook):
    [axis] = axes_of(tiny_codebook, "stage")
    pairs = [
        (gold_sentence("1", stage=["start"]), prediction(stage=["start", "finish"])),
        (gold_sentence("2", stage=["start"]), prediction()),
        (gold_sentence("3"), prediction(stage=["start"])),  # not annotated
    ]
    assert confusion(axis, pairs) == {
        "labels": {"start": {"tp": 1, "fp": 0, "fn": 1, "tn": 0}, "finish": {"tp": 0, "fp": 1, "fn": 0, "tn": 1}}
    }


# ---- Slices ----


@pytest.fixture
def sliced(tiny_codebook):
    """Slice four sentences of three articles by a field."""
    gold = [
        gold_sentence("1", None, (), "a", {"outlet": "wire"}, stage=["start"]),
        gold_sentence("2", None, (), "b", {"outlet": "wire"}, stage=["finish"]),
        gold_sentence("3", None, (), "b", {"outlet": "post", "year": 1999}, stage=["start"]),
        gold_sentence("4", None, (), "c", {"outlet": ""}, manner=["gentle"]),
    ]
    said = [prediction(stage=["start"]), prediction(stage=["start"]), prediction(stage=["start"]), prediction()]
    pairs = list(zip(gold, said, strict=True))
    tables = {axis.name: count_table(axis, pairs) for axis in axes_of(tiny_codebook, "stage", "manner")}
    return lambda field: slices(gold, tables, field, 50, 0)


def test_each_value_has_its_own_figures_the_most_frequent_first(sliced):
    found = sliced("outlet")["values"]
    assert [(row["value"], row["sentences"], row["articles"]) for row in found] == [
        ("wire", 2, 2), ("post", 1, 1), ("(missing)", 1, 1)
    ]  # fmt: skip
    # wire: start: 1 hit, 2 predicted, 1 gold: 2/3; finish: 0: macro 1/3.
    assert found[0]["axes"]["stage"]["value"] == pytest.approx(1 / 3)
    assert (found[0]["axes"]["stage"]["metric"], found[0]["axes"]["stage"]["annotated"]) == ("macro_f1", 2)
    low, high = found[0]["axes"]["stage"]["interval"]
    assert low <= 1 / 3 <= high
    assert found[1]["axes"]["stage"]["interval"] is None  # a single article
    assert list(found[2]["axes"]) == ["manner"]


def test_sentences_can_be_sliced_by_article(sliced):
    assert [(row["value"], row["sentences"]) for row in sliced("article")["values"]] == [("b", 2), ("a", 1), ("c", 1)]


def test_a_value_that_is_no_text_is_written_as_json():
    assert slice_value(gold_sentence("1", extra={"year": 1999}), "year") == "1999"
    assert slice_value(gold_sentence("1", extra={"draft": True}), "draft") == "true"


def test_at_most_fifty_values_are_shown_and_the_others_counted(tiny_codebook):
    gold = [gold_sentence(str(n), None, stage=["start"]) for n in range(53)]
    [axis] = axes_of(tiny_codebook, "stage")
    tables = {"stage": count_table(axis, [(sentence, prediction()) for sentence in gold])}
    found = slices(gold, tables, "article", 10, 0)
    assert (len(found["values"]), found["left_out"]) == (50, 3)


def test_an_unknown_field_is_refused_with_those_that_exist():
    gold = [gold_sentence("1", extra={"outlet": "wire"}), gold_sentence("2", extra={"source": "x"})]
    message = (
        "--by: expected a field of the gold records, one of ['article', 'outlet', 'source'], but found 'colour'. "
        "Name one."
    )
    with pytest.raises(RecordError, match=f"^{re.escape(message)}$"):
        check_field(gold, "colour")


# ---- The most confident errors ----


def test_the_most_confident_errors_come_first_with_words_and_sentence(tiny_codebook):
    gold = gold_sentence("s1", [(*BEEF, "meat")], [(*BEEF, "tasty")], "soup", stage=["finish"])
    said = prediction(
        [(*BEEF, "plant", 0.7)],
        [(*BEEF, "undecided", 0.6)],
        stage=[Scored("start", 0.9, (Evidence(Span(0, 3), 1.0),))],
        scores={"stage": {"start": 0.9, "finish": 0.2}},
    )
    found = mistakes(axes_of(tiny_codebook, "foods", "stage", "verdict"), [(gold, said)])
    assert [(e["axis"], e["label"], e["score"], e["confidence"]) for e in found] == [
        ("stage", "start", 0.9, 0.9), ("stage", "finish", 0.2, 0.8), ("foods", "plant", 0.7, 0.7),
        ("verdict", "undecided", 0.6, 0.6),
    ]  # fmt: skip
    assert found[0] == {
        "axis": "stage",
        "label": "start",
        "gold": ["finish"],
        "predicted": ["start"],
        "score": 0.9,
        "confidence": 0.9,
        "words": [{"text": "the", "start": 0, "end": 3}],
        "id": "s1",
        "article": "soup",
        "text": TEXT,
    }
    assert found[1]["words"] == []  # a label that is missing has no evidence
    assert (found[2]["gold"], found[2]["words"]) == (["meat"], [{"text": "beef", "start": 4, "end": 8}])


def test_an_error_without_a_score_comes_last(tiny_codebook):
    pairs = [
        (gold_sentence("1", []), prediction([(*BEEF, "meat", math.nan)])),
        (gold_sentence("2", []), prediction([(*BEEF, "meat", 0.1)])),
    ]
    found = mistakes(axes_of(tiny_codebook, "foods"), pairs)
    assert [(e["id"], e["gold"], e["score"]) for e in found] == [("2", [], 0.1), ("1", [], None)]


def test_no_more_errors_are_listed_than_asked_for(tiny_codebook):
    pairs = [(gold_sentence(str(n), []), prediction([(*BEEF, "meat")])) for n in range(9)]
    assert len(mistakes(axes_of(tiny_codebook, "foods"), pairs, most=4)) == 4


def test_what_is_right_or_not_annotated_is_no_error(tiny_codebook):
    pairs = [
        (gold_sentence("1", [(*BEEF, "meat")], stage=["start"]), prediction([(*BEEF, "meat")], stage=["start"])),
        (gold_sentence("2", None), prediction([(*BEEF, "meat")], stage=["start"])),
    ]
    assert mistakes(scored_axes(tiny_codebook), pairs) == []
