"""How far annotators agree."""

import random

import pytest
from sklearn.metrics import cohen_kappa_score

from model.records import gold_sentence
from serving.agreement import agreement, f1, kappa, same_labels

TEXT = "Sear the beef with kale."


@pytest.fixture
def gold(tiny_codebook):
    return lambda **axes: gold_sentence({"id": "1", "text": TEXT, **axes}, tiny_codebook, "here")


def foods(**labels):
    return [{"text": words, "label": label} for words, label in labels.items()]


def verdicts(**labels):
    return [{"target": words, "label": label} for words, label in labels.items()]


def test_kappa_is_that_of_scikit_learn():
    draw = random.Random(5)
    left, right = (draw.choices("abc", weights, k=60) for weights in ((3, 2, 1), (1, 2, 3)))
    assert kappa(left, right) == pytest.approx(cohen_kappa_score(left, right))


def test_kappa_by_hand():
    # Equal on 3 of 4; by chance 3/4 * 2/4 + 1/4 * 2/4 = 1/2; (3/4 - 1/2) / (1 - 1/2) = 1/2.
    assert kappa([1, 1, 1, 0], [1, 1, 0, 0]) == pytest.approx(0.5)


def test_there_is_no_kappa_where_chance_agrees_fully():
    assert kappa([1, 1], [1, 1]) is None
    assert kappa([], []) is None


def test_f1_counts_what_both_sides_have():
    # 1 in common of 2 and 1: 2 * 1 / 3.
    assert f1([({"a", "b"}, {"a"}), (set(), set())]) == pytest.approx(2 / 3)
    assert f1([(set(), set())]) == 1.0


def test_agreement_of_each_axis(gold, tiny_codebook):
    one = gold(foods=foods(beef="meat", kale="plant"), stage=["start"], verdict=verdicts(beef="tasty", kale="tasty"))
    two = gold(foods=foods(beef="meat", kale="staple"), stage=["start"], verdict=verdicts(beef="tasty"))
    three, four = gold(foods=[], stage=[]), gold(foods=[], stage=["start"])
    assert agreement([(one, two), (three, four)], tiny_codebook) == {
        "foods": {"span F1": 1.0, "labelled span F1": pytest.approx(2 * 1 / 4)},
        # "start" is said twice on both sides but for one; by chance half of it: kappa 0. "finish" never: no kappa.
        "stage": {"label F1": pytest.approx(2 * 1 / 3), "kappa": pytest.approx(0.0)},
        # One (span, label) in common of 2 and 1. Of the one span that both chose, chance would agree fully.
        "verdict": {"label F1": pytest.approx(2 / 3)},
    }


def test_the_same_labels_in_another_order_are_the_same(gold):
    one = gold(verdict=verdicts(beef="tasty", kale="tasty"), stage=["start", "finish"])
    two = gold(verdict=verdicts(kale="tasty", beef="tasty"), stage=["finish", "start"])
    assert same_labels(one, two)
    assert not same_labels(one, gold(verdict=verdicts(kale="tasty"), stage=["finish", "start"]))
    assert not same_labels(gold(foods=[]), gold())
