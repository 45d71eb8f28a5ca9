"""Counts a sentence, intervals by bootstrap over articles, and the paired comparison of two systems."""

import dataclasses

import numpy as np
import pytest

from tests.training.sentences import BEEF, KALE, gold_sentence, prediction
from training.comparison import compare, randomisation_p_value
from training.counts import count_table, figures
from training.evaluation import evaluate_axes, evaluate_predictions
from training.intervals import bootstrap_intervals, resampled_sums, with_intervals
from training.scored_axes import scored_axes

GOLD = [
    gold_sentence("1", [(*BEEF, "meat"), (*KALE, "plant")], [(*BEEF, "tasty")], "soup", stage=["start"], manner=[]),
    gold_sentence("2", [(*BEEF, "meat")], [(*BEEF, "undecided"), (*KALE, "tasty")], "soup", stage=["finish"]),
    gold_sentence("3", [(*KALE, "plant")], (), "stew", stage=["start"], manner=["fierce"]),
    gold_sentence("4", None, [(*KALE, "too salty")], "tart", stage=[], manner=["gentle"]),
]
SAID = [
    prediction([(*BEEF, "meat"), (13, 21, "staple")], [(*BEEF, "tasty")], stage=["start"], manner=["gentle"]),
    prediction([(*BEEF, "plant")], [(*BEEF, "tasty"), (*KALE, "tasty")], stage=["start"]),
    prediction([(*KALE, "plant")], stage=["start", "finish"], manner=["fierce"]),
    prediction([], [(*KALE, "undecided")], stage=[], manner=["gentle"]),
]
PAIRS = list(zip(GOLD, SAID, strict=True))
ARTICLES = [sentence.article for sentence in GOLD]


@pytest.fixture
def exclusive_codebook(tiny_codebook):
    """The cookery codebook, where a sentence has one manner."""
    axes = [dataclasses.replace(axis, exclusive=axis.name == "manner") for axis in tiny_codebook.axes]
    return dataclasses.replace(tiny_codebook, axes=tuple(axes))


def axis_of(codebook, name):
    return next(axis for axis in scored_axes(codebook) if axis.name == name)


def stage_counts(codebook, *rows):
    """Counts of articles of one sentence each: (gold labels, predicted labels)."""
    pairs = [(gold_sentence(str(n), None, stage=gold), prediction(stage=said)) for n, (gold, said) in enumerate(rows)]
    return count_table(axis_of(codebook, "stage"), pairs)


def flat(metrics, figure):
    for key in figure:
        metrics = metrics[key]
    return metrics


def test_every_figure_of_the_counts_is_that_of_the_metrics(tiny_codebook):
    results = evaluate_predictions(GOLD, SAID, tiny_codebook)
    for axis in scored_axes(tiny_codebook):
        found = figures(axis, count_table(axis, PAIRS).counts.sum(axis=0))
        assert len(found) == 3 if axis.name == "foods" else len(found) > len(axis.labels)
        for figure, value in found.items():
            assert value == pytest.approx(flat(results[axis.name], figure)), (axis.name, figure)


def test_an_exclusive_axis_has_an_accuracy_with_its_counts(exclusive_codebook):
    pairs = [(g, s) for g, s in PAIRS if g.labels.get("manner")]
    axis = axis_of(exclusive_codebook, "manner")
    results = evaluate_axes(pairs, [axis])
    assert results["manner"]["accuracy"] == 1.0  # fierce in 3, gentle in 4, both found
    assert figures(axis, count_table(axis, pairs).counts.sum(axis=0))["accuracy",] == 1.0


def test_each_resample_is_scored_as_if_its_sentences_were_the_data(tiny_codebook):
    # Counts of one for each article are the weights: how often each was drawn.
    weights = resampled_sums(np.eye(3), 20, seed=1).astype(int)
    assert weights.sum(axis=1).tolist() == [3] * 20
    by_article = [[n for n, name in enumerate(ARTICLES) if name == article] for article in ("soup", "stew", "tart")]
    for axis in scored_axes(tiny_codebook):
        table = count_table(axis, PAIRS)
        if set(np.array(ARTICLES)[table.annotated]) != {"soup", "stew", "tart"}:
            continue
        values = figures(axis, resampled_sums(table.by_article(ARTICLES), 20, seed=1))
        for draw, row in enumerate(weights):
            drawn = [PAIRS[n] for times, group in zip(row, by_article, strict=True) for n in group * times]
            expected = evaluate_axes(drawn, [axis])[axis.name]
            for figure, drawn_values in values.items():
                assert drawn_values[draw] == pytest.approx(flat(expected, figure))


def test_an_interval_holds_the_middle_of_what_resampling_gives(tiny_codebook):
    # Two articles, one right and one wrong: F1 of `start` is 1, 1/2 or 0 with chances 1/4, 1/2, 1/4.
    table = stage_counts(tiny_codebook, (["start"], ["start"]), (["start"], []))
    found = bootstrap_intervals(table.axis, table.by_article(["a", "b"]), 500, seed=0)
    assert found["labels", "start", "f1"] == (0.0, 1.0)
    # Drawn right once: 1 hit, 1 predicted, 2 gold: F1 = 2/3; macro over 2 labels: at most 1/2.
    assert found["macro_f1",] == (0.0, 0.5)


def test_sentences_of_one_article_are_drawn_together(tiny_codebook):
    table = stage_counts(
        tiny_codebook, (["start"], ["start"]), (["start"], []), (["start"], ["start"]), (["start"], [])
    )
    # Each article has one right and one wrong sentence: every resample is alike. F1 = 2·2 / (2 + 4) = 2/3.
    found = bootstrap_intervals(table.axis, table.by_article(["a", "a", "b", "b"]), 50, seed=0)
    assert found["labels", "start", "f1"] == pytest.approx((2 / 3, 2 / 3))


def test_the_same_seed_gives_the_same_interval(tiny_codebook):
    table = count_table(axis_of(tiny_codebook, "stage"), PAIRS)
    counts = table.by_article(ARTICLES)
    assert bootstrap_intervals(table.axis, counts, 99, 5) == bootstrap_intervals(table.axis, counts, 99, 5)


def test_many_articles_are_drawn_in_blocks_of_the_same_kind(monkeypatch):
    monkeypatch.setattr("training.intervals._BLOCK", 8)  # two resamples of four articles at once
    sums = resampled_sums(np.eye(4), 5, seed=1)
    assert sums.shape == (5, 4)
    assert sums.sum(axis=1).tolist() == [4.0] * 5


def test_a_single_article_has_no_interval(tiny_codebook):
    table = stage_counts(tiny_codebook, (["start"], ["start"]), (["start"], []))
    found = bootstrap_intervals(table.axis, table.by_article(["a", "a"]), 50, seed=0)
    assert set(found.values()) == {None}


def test_an_article_without_annotation_on_the_axis_is_not_drawn(tiny_codebook):
    table = count_table(axis_of(tiny_codebook, "foods"), PAIRS)
    assert len(table.by_article(ARTICLES)) == 2  # tart has no gold mentions


def test_intervals_stand_beside_their_figures():
    metrics = {"macro_f1": 0.5, "labels": {"a": {"precision": 1.0, "f1": 0.5}}, "annotated": 3}
    found = with_intervals(metrics, {("macro_f1",): (0.25, 0.75), ("labels", "a", "f1"): None})
    assert found == {
        "macro_f1": 0.5,
        "macro_f1_interval": [0.25, 0.75],
        "labels": {"a": {"precision": 1.0, "f1": 0.5, "f1_interval": None}},
        "annotated": 3,
    }


def compared(ours, theirs, articles):
    return compare({"stage": ours}, {"stage": theirs}, articles, 200, 3)["stage"]


def test_a_system_does_not_differ_from_itself(tiny_codebook):
    table = stage_counts(tiny_codebook, (["start"], ["start"]), (["start"], []))
    row = compared(table, table, ["a", "b"])
    assert (row["difference"], row["interval"], row["p_value"]) == (0.0, [0.0, 0.0], 1.0)


def test_a_difference_is_ours_less_theirs_in_the_headline_metric(tiny_codebook):
    ours = stage_counts(tiny_codebook, (["start"], ["start"]), (["finish"], ["finish"]))
    theirs = stage_counts(tiny_codebook, (["start"], ["start"]), (["finish"], ["start"]))
    row = compared(ours, theirs, ["a", "b"])
    # theirs: start: 1 hit, 2 predicted, 1 gold: 2/3; finish: 0: macro 1/3
    assert (row["metric"], row["ours"], row["theirs"]) == ("macro_f1", 1.0, pytest.approx(1 / 3))
    assert row["difference"] == pytest.approx(2 / 3)
    # Both on the same articles: twice the first, both have 1/2 (finish is nowhere): 0. Twice the second: 1/2 less 0.
    assert row["interval"] == pytest.approx([0.0, 2 / 3])


def test_the_p_value_is_that_of_all_swaps(tiny_codebook):
    gold = ["start"]
    ours = stage_counts(tiny_codebook, *[(gold, gold)] * 4)
    theirs = stage_counts(tiny_codebook, *[(gold, [])] * 4)
    # Of the 2^4 ways to swap four articles, only none and all give as large a difference: 2/16.
    p = randomisation_p_value(ours.axis, ours.counts, theirs.counts, seed=0, draws=20_000)
    assert p == pytest.approx(2 / 16, abs=0.01)


def test_one_article_proves_nothing(tiny_codebook):
    ours = stage_counts(tiny_codebook, (["start"], ["start"]))
    theirs = stage_counts(tiny_codebook, (["start"], []))
    row = compared(ours, theirs, ["a"])
    assert (row["interval"], row["p_value"]) == (None, 1.0)


def test_the_p_value_counts_the_observed_difference(tiny_codebook):
    gold = ["start"]
    ours = stage_counts(tiny_codebook, *[(gold, gold)] * 40)
    theirs = stage_counts(tiny_codebook, *[(gold, [])] * 40)
    # No draw of 99 swaps none or all of forty articles: (0 + 1) / (99 + 1).
    assert randomisation_p_value(ours.axis, ours.counts, theirs.counts, seed=0, draws=99) == 0.01
