"""Calibration: a temperature that was put in comes out, and thresholds serve F1."""

import numpy as np
import pytest

from model.calibration import AS_THE_WORD, Calibration, sigmoid, softmax
from model.decoding import Tokens
from model.outputs import SentenceOutputs
from model.records import GoldSentence, LabelledSpan
from model.spans import Span
from training.calibrate import (
    EmptyCalibrationSet,
    fit_calibration,
    fit_labels,
    fit_line,
    fit_temperature,
    fit_threshold,
)


def simulated(temperature: float, labels: int, items: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from the probabilities of some logits, and those logits made too sure or not sure enough."""
    generator = np.random.default_rng(5)
    logits = generator.normal(0.0, 2.0, (items, labels))
    steps = softmax(logits).cumsum(axis=1)
    gold = (steps < generator.random((items, 1))).sum(axis=1)
    return (logits * temperature).astype(np.float32), np.minimum(gold, labels - 1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 3.5])
@pytest.mark.parametrize("labels", [2, 5])
def test_a_temperature_is_recovered_from_simulated_logits(temperature, labels):
    assert fit_temperature(*simulated(temperature, labels)) == pytest.approx(temperature, rel=0.05)


def test_a_model_that_is_always_right_is_not_made_endlessly_sure():
    logits = np.array([[4.0, 0.0], [0.0, 4.0]], dtype=np.float32)
    assert fit_temperature(logits, np.array([0, 1])) == pytest.approx(0.2, abs=0.01)


def test_a_model_that_is_always_wrong_is_not_made_endlessly_doubtful():
    logits = np.array([[4.0, 0.0], [0.0, 4.0]], dtype=np.float32)
    assert fit_temperature(logits, np.array([1, 0])) == pytest.approx(5.0, abs=0.05)


def test_without_items_there_is_no_temperature():
    with pytest.raises(
        EmptyCalibrationSet, match="^expected at least one item to fit a temperature on, but found none$"
    ):
        fit_temperature(np.zeros((0, 3), dtype=np.float32), np.zeros(0, dtype=np.intp))


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.5, -1.0), (2.0, 0.7)])
def test_a_line_is_recovered_from_simulated_decisions(slope, offset):
    generator = np.random.default_rng(5)
    logits = generator.normal(1.0, 1.5, 40_000).astype(np.float32)
    right = generator.random(40_000) < sigmoid(np.float32(slope) * logits + np.float32(offset))
    probabilities = sigmoid(logits).tolist()
    line = fit_line(probabilities, right.tolist())
    assert line == pytest.approx((slope, offset), abs=0.06)
    scaled = Calibration(mention_line=line)
    said = np.mean([scaled.mention_probability(p) for p in probabilities])
    assert said == pytest.approx(right.mean(), abs=0.005)


@pytest.mark.parametrize(
    ("probabilities", "right"),
    [([], []), ([0.9, 0.8], [True, True]), ([0.9, 0.8], [False, False]), ([0.9, 0.1], [False, True])],
)
def test_decisions_that_show_no_line_change_nothing(probabilities, right):
    assert fit_line(probabilities, right) == AS_THE_WORD


def test_few_decisions_do_not_make_a_line_endlessly_sure():
    scaled = Calibration(mention_line=fit_line([0.9, 0.6, 0.3], [True, True, False]))
    assert 0.6 < scaled.mention_probability(0.9) < 0.9


def test_a_temperature_and_the_offsets_of_labels_are_recovered_from_simulated_logits():
    generator = np.random.default_rng(5)
    logits = generator.normal(0.0, 3.0, (20_000, 3)).astype(np.float32)
    gold = generator.random(logits.shape) < sigmoid(logits / np.float32(1.5) + np.float32([0.0, -1.0, 2.0]))
    temperature, offsets = fit_labels(logits, gold, ["a", "b", "c"])
    assert temperature == pytest.approx(1.5, rel=0.03)
    assert list(offsets) == ["a", "b", "c"]
    assert list(offsets.values()) == pytest.approx([0.0, -1.0, 2.0], abs=0.06)


def test_a_label_that_no_sentence_holds_is_improbable_and_not_endlessly_so():
    logits = np.zeros((30, 2), dtype=np.float32)
    gold = np.array([[n % 2 == 0, False] for n in range(30)])
    _, offsets = fit_labels(logits, gold, ["half", "none"])
    assert offsets["half"] == pytest.approx(0.0, abs=0.01)
    assert sigmoid(np.float32([offsets["none"]]))[0] == pytest.approx(1 / 32, abs=0.001)  # one of two more sentences


@pytest.mark.parametrize(
    ("probabilities", "gold", "threshold"),
    [
        # All thresholds up to 0.62 part the positives from the rest: 0.50 among them.
        ([0.1, 0.2, 0.62, 0.9], [0, 0, 1, 1], 0.50),
        # A negative at 0.57: the first threshold above it is 0.58.
        ([0.1, 0.57, 0.8, 0.9], [0, 0, 1, 1], 0.58),
        # A positive at 0.41: the last threshold that holds it is 0.40.
        ([0.1, 0.2, 0.41, 0.9], [0, 0, 1, 1], 0.40),
        # Far from one half there are none: a positive at 0.05 cannot be had for less than 0.30.
        ([0.05, 0.2, 0.9], [1, 0, 1], 0.50),
    ],
)
def test_a_threshold_parts_the_positives_as_near_to_one_half_as_can_be(probabilities, gold, threshold):
    assert fit_threshold(np.array(probabilities), np.array(gold, dtype=bool)) == pytest.approx(threshold)


def test_a_label_without_positives_keeps_one_half():
    assert fit_threshold(np.array([0.4, 0.6]), np.array([False, False])) == 0.5


# "beef kale": two words of two and one tokens between two special ones.
TOKENS = Tokens(
    ids=[2, 10, 11, 12, 3],
    spans=[Span(0, 0), Span(0, 2), Span(2, 4), Span(5, 9), Span(0, 0)],
    words=[None, 0, 0, 1, None],
    total=3,
)


def outputs(stage: tuple[float, float], verdict: float = 0.0) -> SentenceOutputs:
    """Outputs under the tiny codebook: 7 tags, 4 sentence labels, 3 target labels."""
    return SentenceOutputs(
        tag_logits=np.tile(np.array([0, 4, 0, 0, 0, 0, 0], dtype=np.float32), (5, 1)),
        sentence_logits=np.array([*stage, 0.0, 0.0], dtype=np.float32),
        sentence_parts=np.zeros((5, 4), dtype=np.float32),
        target_logits=np.array(
            [[9.0, 0, 0], [verdict, 0, 0], [verdict, 0, 0], [-verdict, 0, 0], [9.0, 0, 0]], dtype=np.float32
        ),
    )


def gold(number: int, stage: frozenset[str], targets=None, mentions=None) -> GoldSentence:
    return GoldSentence(str(number), "beef kale", mentions, {"stage": stage}, targets, "a")


def test_thresholds_offsets_and_temperatures_are_fitted_for_annotated_axes_alone(tiny_codebook):
    start, none = frozenset(["start"]), frozenset()
    rows = [(gold(n, start if n % 2 else none), outputs((2.0 if n % 2 else -2.0, -3.0))) for n in range(20)]
    found = fit_calibration([g for g, _ in rows], [TOKENS] * 20, [o for _, o in rows], tiny_codebook, 0.6)
    assert set(found.temperatures) == {"stage"}
    assert set(found.thresholds["stage"]) == set(found.offsets["stage"]) == {"start", "finish"}
    # An axis without gold: temperature 1, offsets 0, thresholds 0.5.
    assert found.temperature("foods") == found.temperature("verdict") == 1.0
    assert found.threshold("manner", "gentle") == 0.5
    assert set(found.offsets) == {"stage"}


def test_every_axis_abstains_below_the_probability_asked_for(tiny_codebook):
    found = fit_calibration([gold(1, frozenset())], [TOKENS], [outputs((0.0, 0.0))], tiny_codebook, 0.6)
    assert found.abstain_below == dict.fromkeys(["foods", "stage", "manner", "verdict"], 0.6)


def test_a_sentence_axis_is_calibrated_on_its_own_columns(tiny_codebook):
    logits, held = simulated(2.0, 2, items=4000)
    margins = logits[:, 1] - logits[:, 0]
    sentences = [gold(n, frozenset(["start", "finish"] if yes else [])) for n, yes in enumerate(held)]
    outs = [outputs((float(m), float(m))) for m in margins]
    found = fit_calibration(sentences, [TOKENS] * len(outs), outs, tiny_codebook, 0.6)
    assert found.temperature("stage") == pytest.approx(2.0, rel=0.1)
    # Calibrated: of what is said with some certainty, that share is true.
    probabilities = sigmoid(margins / np.float32(found.temperature("stage")))
    sure = probabilities > 0.8
    assert probabilities[sure].mean() == pytest.approx(held[sure].mean(), abs=0.03)


def test_targets_are_calibrated_on_the_tokens_of_their_span(tiny_codebook):
    # Were the special tokens looked at, all would be as sure as 9.
    beef, kale = LabelledSpan(Span(0, 4), "tasty"), LabelledSpan(Span(5, 9), "undecided")
    wrong = LabelledSpan(Span(0, 4), "undecided")
    sentences = [gold(n, frozenset(), (wrong if n < 2 else beef, kale)) for n in range(10)]
    found = fit_calibration(sentences, [TOKENS] * 10, [outputs((0.0, 0.0), 3.0)] * 10, tiny_codebook, 0.6)
    one_by_one = [([3.0, 0, 0], 1 if n < 2 else 0) for n in range(10)] + [([-3.0, 0, 0], 1)] * 10
    expected = fit_temperature(
        np.array([logits for logits, _ in one_by_one], dtype=np.float32), np.array([label for _, label in one_by_one])
    )
    assert found.temperature("verdict") == pytest.approx(expected, rel=1e-3)


def test_mentions_are_calibrated_on_the_first_token_of_each_word(tiny_codebook):
    # Begin of the first label everywhere: right on one word of two. A second piece and special tokens do not count.
    sentences = [gold(1, frozenset(), mentions=(LabelledSpan(Span(0, 4), "meat"),))]
    found = fit_calibration(sentences, [TOKENS], [outputs((0.0, 0.0))], tiny_codebook, 0.6)
    logits = np.tile(np.array([0, 4, 0, 0, 0, 0, 0], dtype=np.float32), (2, 1))
    # Tags: begin of meat, then outside.
    assert found.temperature("foods") == pytest.approx(fit_temperature(logits, np.array([1, 0])))
