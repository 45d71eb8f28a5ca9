"""Calibration of decisions, and risk against coverage."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.predictions import Scored
from tests.training.sentences import BEEF, KALE, gold_sentence, prediction
from training.reliability import CalibrationError, calibration, decisions, risk_coverage, sentence_confidence
from training.scored_axes import scored_axes


def axis_of(codebook, name):
    return next(axis for axis in scored_axes(codebook) if axis.name == name)


def measured(said, true):
    return CalibrationError().compute(predictions=said, references=true)


def test_the_calibration_error_is_the_weighted_distance_of_the_bins():
    found = measured([0.92, 0.98, 0.92, 0.98, 0.25], [1, 1, 1, 0, 0])
    # [0.9, 1]: 4 of 5, mean 0.95, right 3/4: gap 0.20. [0.2, 0.3): 1 of 5, mean 0.25, right 0: gap 0.25.
    assert found["ece"] == pytest.approx(0.8 * 0.20 + 0.2 * 0.25)
    # (0.08² + 0.02² + 0.08² + 0.98² + 0.25²) / 5
    assert found["brier"] == pytest.approx((0.0064 + 0.0004 + 0.0064 + 0.9604 + 0.0625) / 5)


def test_there_are_ten_bins_of_equal_width_and_the_last_holds_one():
    bins = measured([0.0, 0.1, 0.95, 1.0], [0, 1, 1, 1])["bins"]
    assert [row["count"] for row in bins] == [1, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert [(row["from"], row["to"]) for row in bins] == [(n / 10, (n + 1) / 10) for n in range(10)]
    assert bins[9]["mean_probability"] == pytest.approx(0.975)
    assert bins[9]["share_right"] == 1.0
    assert (bins[5]["mean_probability"], bins[5]["share_right"]) == (None, None)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=20))
def test_the_bins_add_up_to_the_calibration_error(rows):
    found = measured([p for p, _ in rows], [true for _, true in rows])
    held = [row for row in found["bins"] if row["count"]]
    assert sum(row["count"] for row in held) == len(rows)
    gaps = [row["count"] * abs(row["mean_probability"] - row["share_right"]) for row in held]
    assert found["ece"] == pytest.approx(sum(gaps) / len(rows), abs=1e-9)
    assert 0 <= found["brier"] <= 1


def test_every_label_of_a_sentence_is_a_decision(tiny_codebook):
    pairs = [
        (
            gold_sentence("1", stage=["start"]),
            prediction(stage=["start"], scores={"stage": {"start": 0.95, "finish": 0.3}}),
        ),
        (gold_sentence("2", stage=["start"]), prediction(scores={"stage": {"start": 0.05, "finish": 0.02}})),
    ]
    found = calibration(axis_of(tiny_codebook, "stage"), pairs)
    assert found["decisions"] == 4
    # Confident are 0.95 (right), 0.05 and 0.02, as 0.95 and 0.98 for no: the first of them is wrong.
    assert found["confident"] == {"at_least": 0.9, "count": 3, "share_right": pytest.approx(2 / 3)}


def test_on_an_exclusive_axis_the_chosen_label_is_the_decision(tiny_codebook):
    axes = [dataclasses.replace(axis, exclusive=axis.name == "stage") for axis in tiny_codebook.axes]
    axis = axis_of(dataclasses.replace(tiny_codebook, axes=tuple(axes)), "stage")
    pairs = [
        (gold_sentence("1", stage=["start"]), prediction(stage=[Scored("start", 0.7)])),
        (gold_sentence("2", stage=["start"]), prediction(stage=[Scored("finish", 0.6)])),
    ]
    found = decisions(axis, pairs)
    assert (found.probabilities.tolist(), found.right.tolist(), found.two_sided) == ([0.7, 0.6], [True, False], False)
    assert sentence_confidence(axis, pairs[0][1]) == 0.7


def test_a_mention_is_right_with_its_span_and_its_label(tiny_codebook):
    gold = gold_sentence("1", [(*BEEF, "meat"), (*KALE, "plant")])
    said = prediction([(*BEEF, "meat", 0.9), (*KALE, "meat", 0.8), (0, 3, "plant", 0.4)])
    found = decisions(axis_of(tiny_codebook, "foods"), [(gold, said)])
    assert (found.probabilities.tolist(), found.right.tolist()) == ([0.9, 0.8, 0.4], [True, False, False])


def test_a_target_is_judged_by_the_label_it_was_given(tiny_codebook):
    gold = gold_sentence("1", None, [(*BEEF, "tasty"), (*KALE, "tasty")])
    said = prediction((), [(*BEEF, "tasty", 0.8), (*KALE, "undecided", 0.5)])
    axis = axis_of(tiny_codebook, "verdict")
    found = decisions(axis, [(gold, said)])
    assert (found.probabilities.tolist(), found.right.tolist()) == ([0.8, 0.5], [True, False])
    assert sentence_confidence(axis, said) == 0.5


def test_the_derived_axis_is_judged_by_its_scores(tiny_codebook):
    scores = {"diet": {"meat": 0.9, "plant": 0.2}}
    gold, said = gold_sentence("1", [(*BEEF, "meat")]), prediction([(*BEEF, "meat")], scores=scores)
    axis = axis_of(tiny_codebook, "diet")
    found = decisions(axis, [(gold, said)])
    assert (found.probabilities.tolist(), found.right.tolist()) == ([0.9, 0.2], [True, False])
    assert sentence_confidence(axis, said) == pytest.approx(0.8)  # plant: 1 - 0.2


def test_a_sentence_is_as_certain_as_its_least_certain_decision(tiny_codebook):
    stage, foods = axis_of(tiny_codebook, "stage"), axis_of(tiny_codebook, "foods")
    held = {"stage": {"start": 0.45, "finish": 0.2}}
    assert sentence_confidence(stage, prediction(stage=["start"], scores=held)) == 0.45  # held under its own threshold
    assert sentence_confidence(stage, prediction(scores=held)) == pytest.approx(0.55)
    assert sentence_confidence(foods, prediction([(*BEEF, "meat", 0.7)])) == 0.7
    # No plant was found, but some word was one with 0.4.
    assert sentence_confidence(foods, prediction(scores={"diet": {"meat": 0.1, "plant": 0.4}})) == pytest.approx(0.6)
    assert sentence_confidence(foods, prediction()) == 1.0


@pytest.mark.parametrize("axis", ["stage", "foods", "verdict", "diet"])
def test_without_scores_there_is_no_calibration(tiny_codebook, axis):
    gold = gold_sentence("1", [(*BEEF, "meat")], [(*BEEF, "tasty")], stage=["start"])
    said = prediction([(*BEEF, "meat", math.nan)], [(*BEEF, "tasty", math.nan)], stage=["start"])
    assert calibration(axis_of(tiny_codebook, axis), [(gold, said)]) is None


def test_risk_grows_from_the_most_certain_sentence_on():
    found = risk_coverage([0.9, 0.6, 0.8, 0.7], [False, True, False, True], [False, True, False, True])
    # In order 0.9, 0.8, 0.7, 0.6: errors 0, 0, 1, 2 of 1, 2, 3, 4.
    assert found["curve"] == [[0.25, 0.0], [0.5, 0.0], [0.75, pytest.approx(1 / 3)], [1.0, 0.5]]
    assert found["area"] == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert found["abstained"] == {"count": 2, "coverage": 0.5, "risk_kept": 0.0, "risk_abstained": 1.0}


def test_sentences_of_equal_certainty_share_their_errors():
    found = risk_coverage([0.9, 0.9, 0.5], [True, False, False], [False] * 3)
    # Half an error each in the first two: 0.5/1, 1/2, 1/3.
    assert found["area"] == pytest.approx((0.5 + 0.5 + 1 / 3) / 3)
    assert found["curve"] == [[pytest.approx(2 / 3), 0.5], [1.0, pytest.approx(1 / 3)]]
    assert found["abstained"] == {
        "count": 0, "coverage": 1.0, "risk_kept": pytest.approx(1 / 3), "risk_abstained": None
    }  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from([0.5, 0.6, 0.9]), st.booleans(), st.booleans()), min_size=1, max_size=9))
def test_the_order_of_the_sentences_does_not_matter(rows):
    forwards, backwards = (risk_coverage(*zip(*order, strict=True)) for order in (rows, rows[::-1]))
    assert forwards["area"] == pytest.approx(backwards["area"])
    assert forwards["abstained"] == pytest.approx(backwards["abstained"])


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    found = risk_coverage([n / 1000 for n in range(1000)], [n < 100 for n in range(1000)], [False] * 1000)
    assert len(found["curve"]) == 200
    assert found["curve"][0] == [0.001, 0.0]
    assert found["curve"][-1] == [1.0, 0.1]
