"""The metrics and the evaluation that is made of them, on numbers that a reader can check."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from model.spans import Span
from tests.training.sentences import BEEF, KALE, gold_sentence, prediction
from training.evaluation import evaluate_predictions, headline, lookup, to_sentences
from training.metrics import LabelF1, SpanF1

THIRD = pytest.approx(1 / 3)
TWO_THIRDS = pytest.approx(2 / 3)


def label_f1(gold, said, labels):
    return LabelF1().compute(references=gold, predictions=said, labels=labels)


def span_f1(gold, said):
    return SpanF1().compute(references=gold, predictions=said)


def test_f1_of_each_label_and_their_mean():
    result = label_f1(
        gold=[[1, 0], [1, 1], [0, 0], [1, 0]],
        said=[[1, 1], [0, 1], [0, 0], [1, 0]],
        labels=["a", "b"],
    )
    # a: 2 hits, 0 false alarms, 1 miss: P = 2/2, R = 2/3, F1 = 2·1·(2/3) / (1 + 2/3) = 0.8
    assert result["labels"]["a"] == {"precision": 1.0, "recall": TWO_THIRDS, "f1": 0.8, "support": 3, "predicted": 2}
    # b: 1 hit, 1 false alarm, 0 misses: P = 1/2, R = 1/1, F1 = 2·0.5·1 / 1.5 = 2/3
    assert result["labels"]["b"] == {"precision": 0.5, "recall": 1.0, "f1": TWO_THIRDS, "support": 1, "predicted": 2}
    assert result["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)


def test_a_label_that_never_occurs_counts_as_zero():
    result = label_f1(gold=[[1, 0], [1, 0]], said=[[1, 0], [1, 0]], labels=["a", "b"])
    assert result["labels"]["b"]["f1"] == 0.0
    assert result["macro_f1"] == 0.5  # (1 + 0) / 2


def test_accuracy_is_the_share_of_rows_that_are_right():
    gold, said = [[1, 0], [0, 1], [0, 1], [1, 0]], [[1, 0], [1, 0], [0, 1], [0, 0]]  # the last was left unlabelled
    result = LabelF1().compute(references=gold, predictions=said, labels=["a", "b"], exclusive=True)
    assert result["accuracy"] == 0.5  # the first and the third of 4
    assert "accuracy" not in label_f1(gold, said, ["a", "b"])


def test_an_axis_of_one_label_is_scored_on_that_label():
    # 1 hit, 1 false alarm, 1 miss, and 2 sentences rightly left alone, which count for nothing.
    result = label_f1(gold=[[1], [0], [1], [0], [0]], said=[[1], [1], [0], [0], [0]], labels=["a"])
    assert result["labels"]["a"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2, "predicted": 2}
    assert result["macro_f1"] == 0.5


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.tuples(*[st.lists(st.integers(0, 1), min_size=width, max_size=width)] * 2), min_size=1, max_size=12
        )
    )
)
def test_label_f1_is_twice_the_hits_over_said_and_gold(rows):
    gold, said = [list(row) for row in zip(*rows, strict=True)]
    width = len(gold[0])
    result = label_f1(gold, said, [str(n) for n in range(width)])
    for n in range(width):
        hits = sum(g[n] and s[n] for g, s in rows)
        both = sum(g[n] + s[n] for g, s in rows)
        assert result["labels"][str(n)]["f1"] == pytest.approx(2 * hits / both if both else 0.0)


def test_spans_count_exactly_with_their_label_and_by_overlap():
    result = span_f1(
        gold=[[[0, 4, 0], [10, 14, 1]], [[3, 9, 2]]],
        said=[[[0, 4, 1], [10, 15, 1]], [[3, 9, 2], [20, 22, 0]]],
    )
    # exact: [0, 4) and [3, 9): 2 of 4 said, 2 of 3 gold: F1 = 2·2 / (4 + 3) = 4/7
    assert result["span_f1"] == pytest.approx(4 / 7)
    # with the label: only [3, 9): F1 = 2·1 / 7
    assert result["labelled_span_f1"] == pytest.approx(2 / 7)
    # overlapping: 3 of 4 said, 3 of 3 gold: P = 3/4, R = 1, F1 = 2·0.75 / 1.75 = 6/7
    assert result["overlap_f1"] == pytest.approx(6 / 7)
    assert (result["predicted"], result["support"]) == (4, 3)


def test_spans_that_only_touch_do_not_overlap():
    assert span_f1(gold=[[[0, 4, 0]]], said=[[[4, 8, 0]]])["overlap_f1"] == 0.0


def test_no_spans_at_all_count_as_zero():
    assert span_f1(gold=[[], []], said=[[], []])["span_f1"] == 0.0


SPANS = st.frozensets(st.tuples(st.integers(0, 4), st.integers(5, 7), st.integers(0, 1)), max_size=4)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(SPANS, SPANS), min_size=1, max_size=5))
def test_labelled_span_f1_is_the_micro_f1_of_scikit_learn(pairs):
    universe = [(start, end, label) for start in range(5) for end in range(5, 8) for label in range(2)]
    gold = [[int(span in row) for span in universe] for row, _ in pairs]
    said = [[int(span in row) for span in universe] for _, row in pairs]
    ours = span_f1([[list(s) for s in row] for row, _ in pairs], [[list(s) for s in row] for _, row in pairs])
    assert ours["labelled_span_f1"] == pytest.approx(f1_score(gold, said, average="micro", zero_division=0))


@pytest.fixture
def results(tiny_codebook):
    gold = [
        gold_sentence("1", [(*BEEF, "meat"), (*KALE, "plant")], [(*BEEF, "tasty")], stage=["start"], manner=[]),
        gold_sentence("2", [(*BEEF, "meat")], [(*BEEF, "undecided"), (*KALE, "tasty")], stage=["finish"]),
        gold_sentence("3", None, stage=["start"]),
    ]
    said = [
        prediction([(*BEEF, "meat"), (*KALE, "staple")], [(*BEEF, "tasty")], stage=["start"], manner=["gentle"]),
        prediction([(*BEEF, "plant")], [(*BEEF, "tasty"), (*KALE, "tasty")], stage=["start"], manner=["fierce"]),
        prediction([(0, 3, "meat")], stage=["start"], abstained=("stage", "foods")),
    ]
    return evaluate_predictions(gold, said, tiny_codebook)


def test_an_axis_is_scored_on_the_sentences_annotated_for_it(results):
    annotated = {axis: results[axis]["annotated"] for axis in ("foods", "diet", "stage", "manner", "verdict")}
    assert annotated == {"foods": 2, "diet": 2, "stage": 3, "manner": 1, "verdict": 2}
    assert (results["sentences"], results["articles"]) == (3, 3)


def test_mentions_are_scored_by_span_and_by_the_axis_derived_from_them(results):
    assert results["foods"]["span_f1"] == 1.0  # both sentences' three spans, no other
    assert results["foods"]["labelled_span_f1"] == THIRD  # one of three has its label
    # meat: gold in 1 and 2, said in 1: P = 1, R = 1/2, F1 = 2/3. plant: gold in 1, said in 2: F1 = 0.
    assert results["diet"]["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)


def test_sentence_labels_are_scored_in_macro(results):
    # start: gold in 1 and 3, said in all: P = 2/3, R = 1, F1 = 0.8. finish: gold in 2, never said: 0.
    assert results["stage"]["labels"]["start"]["f1"] == pytest.approx(0.8)
    assert results["stage"]["macro_f1"] == pytest.approx(0.4)


def test_targets_are_scored_one_by_one_as_scikit_learn_does(results):
    gold, said = ["tasty", "undecided", "tasty"], ["tasty", "tasty", "tasty"]
    expected = f1_score(gold, said, labels=["tasty", "undecided", "too salty"], average="macro", zero_division=0)
    # tasty: P = 2/3, R = 1, F1 = 0.8; the others 0: 0.8 / 3
    assert results["verdict"]["macro_f1"] == pytest.approx(expected) == pytest.approx(0.8 / 3)
    assert results["verdict"]["accuracy"] == TWO_THIRDS
    assert (results["verdict"]["targets"], results["verdict"]["unlabelled"]) == (3, 0)


def test_sentences_that_the_model_was_not_sure_of_are_counted_where_annotated(results):
    assert results["stage"]["abstained"] == 1
    assert results["foods"]["abstained"] == 0  # sentence 3 has no gold mentions


def test_an_axis_without_gold_is_left_out(tiny_codebook):
    gold = [gold_sentence("1", None, stage=["start"])]
    results = evaluate_predictions(gold, [prediction(stage=["start"])], tiny_codebook)
    assert sorted(results) == ["articles", "sentences", "stage"]


def test_the_headline_has_one_number_an_axis(results):
    # span F1 of the mention axis, macro-F1 of the others; manner: nothing in gold: 0
    assert headline(results) == {"foods": 1.0, "diet": 0.3333, "stage": 0.4, "manner": 0.0, "verdict": 0.2667}


def test_gold_targets_are_asked_for_in_their_own_words():
    [sentence] = to_sentences([gold_sentence("1", [], [(*KALE, "tasty"), (*BEEF, "tasty")])])
    assert sentence.targets == (("kale", Span(*KALE)), ("beef", Span(*BEEF)))


def test_lookup_finds_a_number_by_its_path(results):
    assert lookup(results, "stage.macro_f1") == pytest.approx(0.4)
    assert lookup(results, "stage.labels.start.recall") == 1.0
    assert lookup(results, "sentences") == 3.0


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "weather.macro_f1",
            "expected a metric, but found no 'weather' in 'weather.macro_f1'; there are "
            "['articles', 'diet', 'foods', 'manner', 'sentences', 'stage', 'verdict']",
        ),
        (
            "stage.f1",
            "expected a metric, but found no 'f1' in 'stage.f1'; there are "
            "['abstained', 'annotated', 'labels', 'macro_f1']",
        ),
        ("sentences.f1", "expected a metric, but found no 'f1' in 'sentences.f1'; there are []"),
    ],
)
def test_lookup_names_what_there_is(results, path, message):
    with pytest.raises(KeyError, match=re.escape(message)):
        lookup(results, path)


def test_lookup_refuses_what_is_no_number(results):
    with pytest.raises(KeyError, match=r"expected a number, but 'stage\.labels' holds \{'start': \{'precision'"):
        lookup(results, "stage.labels")
