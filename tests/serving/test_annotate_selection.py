"""The choice of sentences to label: doubt, variety, and an honest random part."""

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from model.jsonl import Line
from model.records import normalise
from serving.annotate import candidates, doubt
from serving.inputs import LineInput
from serving.selection import RANDOM, UNCERTAIN, Candidate, Selector, gram_vectors, spread

# Sentences without a word in common.
WORDS = ["boil", "chop", "dust", "fold", "glaze", "knead", "mince", "poach", "roast", "whisk"]
THINGS = [
    "aubergine",
    "buttermilk",
    "cinnamon",
    "dumplings",
    "endive",
    "figs",
    "ginger",
    "hazelnut",
    "icing",
    "juniper",
]
DIFFERENT = [f"{word} {thing}" for word, thing in zip(WORDS, THINGS, strict=True)]


def candidate(text: str, uncertainty: float = 0.5, article: str | None = None) -> Candidate:
    return Candidate(text, text, article or text, uncertainty, "axis", {}, {})


def texts(chosen, why):
    return [item.candidate.text for item in chosen if item.why == why]


# ---- Doubt ----

SENTENCE = {
    "foods": [{"label": "meat", "score": 0.9, "verdict": {"label": "tasty", "score": 0.55}}],
    "stage": [{"label": "start", "score": 0.8}],
    "manner": [],
    "targets": [],
    "scores": {
        "diet": {"meat": 0.9, "plant": 0.3},
        "stage": {"start": 0.8, "finish": 0.1},
        "manner": {"gentle": 0.05, "fierce": 0.4},
        "verdict": {"tasty": 0.55, "undecided": 0.4, "too salty": 0.05},
    },
}


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ("foods", 0.3),  # the mention is sure by 0.9; that no word is a plant, by 1 - 0.3 = 0.7; 1 - 0.7 = 0.3
        ("stage", 0.2),  # start by 0.8, no finish by 0.9
        ("manner", 0.4),  # not gentle by 0.95, not fierce by 0.6
        ("verdict", 0.45),
    ],
)
def test_doubt_is_1_minus_the_certainty_of_the_least_certain_decision(axis, expected, tiny_codebook):
    [found] = [item for item in tiny_codebook.axes if item.name == axis]
    assert doubt(SENTENCE, found, tiny_codebook) == pytest.approx(expected)


def test_where_exactly_one_label_holds_the_decision_is_which(tiny_codebook):
    axis = replace(tiny_codebook.sentence_axes[0], exclusive=True)
    record = SENTENCE | {"scores": {"stage": {"start": 0.65, "finish": 0.35}}}
    assert doubt(record, axis, tiny_codebook) == pytest.approx(0.35)


def test_a_sentence_has_the_mean_doubt_and_names_the_axis_of_the_highest(stub_labeller):
    # The stub is sure of a mention by 0.75 and gives every label 0.5, "start" and "gentle" held: every axis is at 0.5.
    line = LineInput("in", Line(1, {"id": "s", "text": "Beef."}, None))
    [found] = candidates(stub_labeller, [line], split=False)
    assert (found.uncertainty, found.axis, found.article) == (0.5, "foods", "s")


def test_an_axis_without_a_decision_leaves_no_doubt(tiny_codebook):
    assert doubt(SENTENCE | {"foods": []}, tiny_codebook.target_axis, tiny_codebook) == 0.0


# ---- Variety ----


def test_the_most_doubtful_of_different_sentences_come_first():
    pool = [candidate(text, 0.1 * n) for n, text in enumerate(DIFFERENT)]
    assert spread(pool, 3) == [9, 8, 7]


def test_a_near_duplicate_is_never_chosen():
    pool = [
        candidate("Simmer the kale slowly.", 0.9),
        candidate("simmer the kale slowly", 0.8),
        candidate("Roast figs.", 0.1),
    ]
    assert spread(pool, 3) == [0, 2]


def test_a_like_sentence_gives_way_to_one_that_is_different():
    # "…leek…" shares most of its words with the first; of equal doubt otherwise, the different one is taken before it.
    pool = [
        candidate("Then simmer the kale slowly in the pan.", 0.50),
        candidate("Then simmer the leek gently in the pan.", 0.49),
        candidate("Fold buttermilk under cinnamon.", 0.48),
    ]
    assert spread(pool, 3) == [0, 2, 1]


def test_no_near_duplicate_of_a_random_sentence_is_chosen():
    pool = [candidate("Simmer the kale slowly.", 0.9), candidate("Roast figs.", 0.1)]
    assert spread(pool, 2, beside=[candidate("Simmer the kale slowly!")]) == [1]


def test_a_document_gives_a_tenth_while_others_have_any():
    pool = [candidate(text, 0.9, "one") for text in DIFFERENT[:5]]
    pool += [candidate(text, 0.1, text) for text in DIFFERENT[5:]]
    # A tenth of 6, rounded up, is 1. The others give 5; then there are 0 of 6 left, and the first document gives more.
    assert Counter(pool[n].article == "one" for n in spread(pool, 6)) == {True: 1, False: 5}
    assert Counter(pool[n].article == "one" for n in spread(pool, 8)) == {True: 3, False: 5}


def test_a_lone_document_gives_all():
    assert len(spread([candidate(text, 0.5, "one") for text in DIFFERENT], 10)) == 10


def test_vectors_are_of_unit_length_and_like_for_like_texts():
    vectors = gram_vectors(["Simmer the kale.", "SIMMER, the kale", "Fold figs into icing.", "…"])
    lengths = np.linalg.norm(vectors, axis=1)
    assert lengths == pytest.approx([1, 1, 1, 0], abs=1e-6)
    assert vectors[0] @ vectors[1] == pytest.approx(1, abs=1e-6)
    assert abs(float(vectors[0] @ vectors[2])) < 0.2


# ---- Both parts ----


def choose(candidates, count=10, share=0.2, seed=0, labelled=frozenset()):
    selector = Selector(count, share, seed, labelled)
    for item in candidates:
        selector.add(item)
    return selector.choose()


def many(number: int) -> list[Candidate]:
    """Different sentences; the later the more doubtful."""
    letters = random.Random(3)
    words = ["".join(letters.choices("abcdefghijklmnopqrstuvwxyz", k=9)) for _ in range(2 * number)]
    return [candidate(f"{words[2 * n]} {words[2 * n + 1]}", n / number) for n in range(number)]


def test_a_fifth_is_random_and_mixed_in_evenly():
    chosen = choose(many(200))
    assert Counter(why for _, why in chosen) == {UNCERTAIN: 8, RANDOM: 2}
    assert Counter(why for _, why in chosen[:5]) == {UNCERTAIN: 4, RANDOM: 1}


def test_the_choice_is_the_same_for_the_same_seed_in_any_order():
    batch = many(300)
    again = random.Random(1).sample(batch, len(batch))
    assert choose(batch) == choose(again)
    assert texts(choose(batch), RANDOM) != texts(choose(batch, seed=1), RANDOM)


def test_the_random_part_does_not_depend_on_the_doubt():
    batch = many(300)
    sure = [candidate(item.text, 1 - item.uncertainty) for item in batch]
    assert texts(choose(batch), RANDOM) == texts(choose(sure), RANDOM)


def test_the_random_part_is_a_uniform_sample():
    batch = many(100)
    half = {item.text for item in batch[:50]}
    drawn = [text for seed in range(200) for text in texts(choose(batch, 5, 1.0, seed), RANDOM)]
    # 1,000 draws, each from the first half with probability 1/2: standard deviation under 16; 4 of them are 64.
    assert abs(sum(text in half for text in drawn) - 500) < 64


def test_a_sentence_repeated_a_hundred_times_has_one_lot():
    batch = many(50)
    repeated = batch + [candidate(batch[0].text.upper() + "!", 0.0) for _ in range(100)]
    for seed in range(5):
        drawn = [normalise(text) for text in texts(choose(repeated, 10, 1.0, seed), RANDOM)]
        assert drawn == [normalise(text) for text in texts(choose(batch, 10, 1.0, seed), RANDOM)]


def test_labelled_sentences_are_left_out():
    batch = many(20)
    selector = Selector(20, 0.5, 0, {normalise(batch[3].text)})
    for item in batch:
        selector.add(item)
    assert batch[3] not in [item.candidate for item in selector.choose()]
    assert (selector.seen, selector.known) == (20, 1)


def test_no_sentence_is_chosen_twice_and_a_small_batch_is_chosen_whole():
    chosen = choose(many(12), count=50)
    assert len({item.candidate.text for item in chosen}) == len(chosen) == 12


def test_memory_does_not_grow_with_the_batch():
    selector = Selector(1, 0.0, 0)
    for n in range(5_000):
        selector.add(candidate(f"sentence {n}", n / 5_000))
    assert len(selector._pool.sorted()) == 1_001  # 1,000 at least, and room for one drawn at random
    [(item, why)] = selector.choose()
    assert (item.text, why) == ("sentence 4999", UNCERTAIN)


def test_nothing_to_choose_from_gives_nothing():
    assert choose([]) == []
