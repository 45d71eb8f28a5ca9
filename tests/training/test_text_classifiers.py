"""The classifiers behind the baselines: TF-IDF with logistic regression, SetFit, and one of them an axis."""

import numpy as np
import pytest

from model.network import load_network
from model.records import Sentence
from model.spans import Span
from model.tokenization import SentenceTokenizer
from training.baselines import ClassifierBaseline
from training.evaluation import evaluate_predictor
from training.setfit import SetFitClassifier, draw_pairs
from training.text_classifiers import LogisticHead, TfidfClassifier

NAMES = ("start", "finish")
TEXTS = ["First sear the beef.", "First warm the pan.", "Serve it at once.", "Serve with bread."] * 2
START, FINISH, NONE = frozenset(["start"]), frozenset(["finish"]), frozenset()
HELD = [START, START, FINISH, FINISH] * 2


def test_each_label_has_a_classifier_of_its_own():
    both = START | FINISH
    features = np.array([[1.0, 0], [0, 1], [1, 1], [0, 0]] * 10)
    head = LogisticHead()
    head.fit(features, [START, FINISH, both, NONE] * 10, NAMES, exclusive=False)
    assert head.predict(features[:4]) == [START, FINISH, both, NONE]


def test_exclusive_labels_share_one_classifier():
    head = LogisticHead()
    head.fit(np.array([[1.0, 0], [0, 1]] * 5), [START, FINISH] * 5, NAMES, exclusive=True)
    # Between the two, and far from both, exactly one holds.
    assert all(len(held) == 1 for held in head.predict(np.array([[0.5, 0.5], [-9.0, -9.0]])))


@pytest.mark.parametrize("exclusive", [True, False])
def test_where_there_is_nothing_to_tell_apart_the_one_answer_is_given(exclusive):
    head = LogisticHead()
    head.fit(np.zeros((2, 1)), [FINISH, FINISH], NAMES, exclusive)
    assert head.predict(np.zeros((1, 1))) == [FINISH]


@pytest.fixture
def setfit(tiny_encoder, tiny_codebook):
    def make(max_pairs=None):
        tokenizer = SentenceTokenizer(tiny_encoder / "tokenizer.json", 32)
        return SetFitClassifier(load_network(tiny_encoder, tiny_codebook).encoder, tokenizer, max_pairs)

    return make


@pytest.mark.parametrize("exclusive", [True, False])
def test_both_classifiers_learn_what_they_were_shown(setfit, exclusive):
    for classifier in (TfidfClassifier(), setfit()):
        classifier.fit(TEXTS, HELD, NAMES, exclusive)
        assert classifier.predict(TEXTS) == HELD


def test_half_of_the_pairs_share_a_label_and_the_fewer_are_repeated():
    # Of three sentences, with each also paired with itself: 1-1, 2-2, 3-3 and 1-2 share a label, 1-3 and 2-3 do not.
    held = np.array([[True, False], [True, False], [False, True]])
    pairs, same = draw_pairs(held, None, np.random.default_rng(0))
    assert same.sum() == len(same) - same.sum() == 4
    assert all((held[a] & held[b]).any() == bool(s) for (a, b), s in zip(pairs, same, strict=True))
    assert {tuple(sorted(pair)) for pair in pairs.tolist()} == {(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)}


def test_pairs_can_be_bounded():
    pairs, same = draw_pairs(np.eye(40, 4, dtype=bool), 10, np.random.default_rng(0))
    assert (len(pairs), same.sum()) == (10, 5)


def test_sentences_of_one_label_alone_give_pairs_of_one_kind():
    _, same = draw_pairs(np.ones((3, 1), dtype=bool), None, np.random.default_rng(0))
    assert same.tolist() == [1] * 6


def test_a_baseline_of_classifiers_speaks_of_every_axis_but_the_mentions(tiny_gold, tiny_codebook):
    baseline = ClassifierBaseline(tiny_gold, tiny_codebook, TfidfClassifier)
    results = evaluate_predictor(tiny_gold, baseline, tiny_codebook)
    for axis in ("diet", "stage", "manner", "verdict"):
        assert results[axis]["macro_f1"] > 0.9  # it has seen these very sentences
    assert results["foods"]["predicted"] == 0


def test_a_target_is_told_from_another_of_the_same_sentence(tiny_gold, tiny_codebook):
    seen = []

    class Spy(TfidfClassifier):
        def predict(self, texts):
            seen.extend(texts)
            return super().predict(texts)

    text = "Beef and kale."
    [said] = ClassifierBaseline(tiny_gold, tiny_codebook, Spy)(
        [Sentence("1", text, (("Beef", Span(0, 4)), ("kale", Span(9, 13))))]
    )
    assert [t.name for t in said.targets] == ["Beef", "kale"]
    assert {" targetbegins Beef targetends  and kale.", "Beef and  targetbegins kale targetends ."} <= set(seen)
