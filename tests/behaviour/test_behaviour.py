"""The shipped model against behavioural cases: minimum functionality, invariance, direction (CheckList)."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from model.artifact import find_artifact, load_artifact
from model.engine import Engine
from model.records import Sentence
from tests.behaviour.behaviour import NAMES, NEW_NAMES, case_texts, failures, labels_of, load_cases, renamed
from training.swaps import NameSwapper

# Cases that the shipped weights fail. Strict: one that passes must leave the list.
KNOWN = yaml.safe_load((Path(__file__).parent / "known_failures.yaml").read_text(encoding="utf-8")) or []
CASES = load_cases()


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(load_artifact(find_artifact()))


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, id=c["id"], marks=[pytest.mark.xfail(strict=True)] if c["id"] in KNOWN else []) for c in CASES],
)
def test_behaviour(case, engine):
    assert failures(case, engine, engine.artifact.codebook) == []


def test_known_failures_are_cases_and_few():
    ids = {case["id"] for case in CASES}
    assert set(KNOWN) <= ids
    assert len(KNOWN) <= 0.25 * len(ids)


def test_there_are_enough_cases_of_every_kind():
    kinds = Counter(case["kind"] for case in CASES)
    assert kinds["minimum"] >= 100
    assert kinds["invariance"] >= 40
    assert kinds["direction"] >= 30


def test_renaming_actors_seldom_changes_a_label_of_the_sentence(engine):
    # Names that training never swapped in; three drawings of each text that holds a known name. The aim is 2 %: the
    # shipped weights stand at 6.9 %, most of it relations near their threshold.
    generator, swapper = np.random.default_rng(11), NameSwapper(NAMES, NEW_NAMES)
    pairs = [(text, renamed(text, generator, swapper)) for text in case_texts() for _ in range(3)]
    pairs = [(before, after) for before, after in pairs if before != after]
    assert len(pairs) >= 300
    labels = [
        labels_of(prediction, engine.artifact.codebook)
        for prediction in engine([Sentence(str(n), text) for n, text in enumerate(t for pair in pairs for t in pair)])
    ]
    changed = [
        (pair, before, after)
        for pair, before, after in zip(pairs, labels[::2], labels[1::2], strict=True)
        if before != after
    ]
    assert len(changed) <= 0.07 * len(pairs), (len(changed), len(pairs), changed[:5])
