"""Calibration: probabilities against scipy, thresholds and the rule for "not sure"."""

import json

import numpy as np
import pytest
from scipy import special

from model.calibration import Calibration, sigmoid, softmax

CALIBRATION = Calibration(
    temperatures={"stage": 2.0},
    thresholds={"stage": {"start": 0.3}},
    abstain_below={"stage": 0.6},
    mention_line=(1.25, -0.5),
    offsets={"stage": {"finish": -1.5}},
)
LOGITS = np.random.default_rng(0).normal(0, 20, (50, 7)).astype(np.float32)


def test_sigmoid_is_that_of_scipy() -> None:
    np.testing.assert_allclose(sigmoid(LOGITS), special.expit(LOGITS.astype(np.float64)), rtol=0, atol=1e-15)


def test_softmax_is_that_of_scipy() -> None:
    np.testing.assert_allclose(softmax(LOGITS), special.softmax(LOGITS.astype(np.float64), axis=-1), rtol=1e-12)


def test_rows_of_probabilities_sum_to_one() -> None:
    np.testing.assert_allclose(softmax(LOGITS).sum(axis=-1), 1.0, rtol=1e-12)


def test_extreme_logits_neither_overflow_nor_warn() -> None:
    extreme = np.array([-3e38, 0.0, 3e38], dtype=np.float32)
    assert sigmoid(extreme).tolist() == [0.0, 0.5, 1.0]
    assert softmax(extreme).tolist() == [0.0, 0.0, 1.0]


def test_the_sigmoid_is_the_softmax_of_yes_against_no() -> None:
    pairs = np.stack([np.zeros_like(LOGITS), LOGITS], axis=-1)
    np.testing.assert_allclose(sigmoid(LOGITS), softmax(pairs)[..., 1], atol=1e-12)


def test_a_temperature_above_one_softens_and_keeps_the_order() -> None:
    # odds 9 to 1: log 9 / 2 = log 3, odds 3 to 1
    logits = np.log(np.array([0.9, 0.1], dtype=np.float32))
    assert softmax(logits / 2) == pytest.approx([0.75, 0.25])


def test_logits_are_divided_and_moved_label_by_label() -> None:
    logits = np.array([[4.0, 4.0], [-2.0, 1.0]], dtype=np.float32)
    found = CALIBRATION.calibrated("stage", ["start", "finish"], logits)
    assert found.tolist() == [[2.0, 0.5], [-1.0, -1.0]]
    assert found.dtype == np.float32
    assert CALIBRATION.calibrated("manner", ["gentle", "harsh"], logits).tolist() == logits.tolist()


def test_what_was_not_fitted_has_plain_defaults() -> None:
    assert CALIBRATION.temperature("manner") == 1.0
    assert CALIBRATION.threshold("stage", "finish") == 0.5
    assert CALIBRATION.threshold("manner", "gentle") == 0.5
    assert not CALIBRATION.abstains("manner", 0.0)


def test_what_was_fitted_is_given() -> None:
    assert CALIBRATION.temperature("stage") == 2.0
    assert CALIBRATION.threshold("stage", "start") == 0.3


@pytest.mark.parametrize("word", [0.0, 0.25, 0.5, 0.99, 1.0])
def test_a_mention_is_as_certain_as_its_line_says(word: float) -> None:
    assert Calibration().mention_probability(word) == word
    expected = special.expit(1.25 * special.logit(min(max(word, 1e-6), 1 - 1e-6)) - 0.5)
    assert CALIBRATION.mention_probability(word) == pytest.approx(expected)


def test_a_calibration_without_a_line_takes_the_word_for_the_mention() -> None:
    older = {key: value for key, value in CALIBRATION.to_dict().items() if key != "mention_line"}
    assert Calibration.from_dict(older).mention_probability(0.7) == 0.7


def test_an_axis_is_not_sure_only_below_its_limit() -> None:
    assert CALIBRATION.abstains("stage", 0.5999)
    assert not CALIBRATION.abstains("stage", 0.6)


def test_a_calibration_survives_its_manifest() -> None:
    assert Calibration.from_dict(json.loads(json.dumps(CALIBRATION.to_dict()))) == CALIBRATION
