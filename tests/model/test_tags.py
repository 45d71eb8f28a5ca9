"""BIO tags: mentions to tags, the best valid path, and back."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.calibration import softmax
from model.records import LabelledSpan
from model.spans import Span
from model.tags import OUTSIDE, begin, best_path, best_paths, encode_tags, inside, mention_words, tag_count

LABELS = ("meat", "plant")
OUT, B_MEAT, I_MEAT, B_PLANT, I_PLANT = range(5)


def is_valid(path: tuple[int, ...]) -> bool:
    """Tell whether every inside tag follows a begin or inside tag of its own label."""
    insides = {inside(n): {begin(n), inside(n)} for n in range(len(LABELS))}
    return all(tag not in insides or before in insides[tag] for before, tag in itertools.pairwise((OUT, *path)))


def brute_force(log_probabilities: np.ndarray) -> float:
    """Score of the best valid path, found by trying all of them."""
    words, tags = log_probabilities.shape
    paths = itertools.product(range(tags), repeat=words)
    return max(sum(log_probabilities[n, tag] for n, tag in enumerate(path)) for path in paths if is_valid(path))


def test_tags_are_numbered_in_codebook_order() -> None:
    assert tag_count(2) == 5
    assert [OUTSIDE, begin(0), inside(0), begin(1), inside(1)] == [OUT, B_MEAT, I_MEAT, B_PLANT, I_PLANT]


def test_the_first_token_of_a_mention_begins_it_and_the_others_are_inside() -> None:
    # "lamb shank, kale": the special tokens, then "lamb", "shank", ",", "ka", "##le"
    spans = [Span(0, 0), Span(0, 4), Span(5, 10), Span(10, 11), Span(12, 14), Span(14, 16), Span(0, 0)]
    mentions = [LabelledSpan(Span(0, 10), "meat"), LabelledSpan(Span(12, 16), "plant")]
    assert encode_tags(mentions, spans, LABELS) == [OUT, B_MEAT, I_MEAT, OUT, B_PLANT, I_PLANT, OUT]


def test_a_token_belongs_to_a_mention_that_it_shares_a_character_with() -> None:
    # The mention "beef" ends inside the token "beef-".
    assert encode_tags([LabelledSpan(Span(0, 4), "meat")], [Span(0, 5), Span(5, 10)], LABELS) == [B_MEAT, OUT]


def test_a_mention_beyond_the_last_token_leaves_no_tag() -> None:
    assert encode_tags([LabelledSpan(Span(40, 44), "meat")], [Span(0, 4)], LABELS) == [OUT]


def test_neighbouring_mentions_of_one_label_stay_two() -> None:
    assert mention_words([B_MEAT, B_MEAT, I_MEAT]) == [(0, 1, 0), (1, 3, 0)]


def test_an_inside_tag_that_cannot_stand_first_gives_way_to_the_best_path() -> None:
    # Word by word the best would be I-meat I-meat, which is not valid.
    # Of the others, B-meat I-meat has .3 * .6 = .18, B-meat B-meat and B-meat O .3 * .2 = .06, O O .1 * .2 = .02
    probabilities = np.array([[0.1, 0.3, 0.6, 0.0, 0.0], [0.2, 0.2, 0.6, 0.0, 0.0]], dtype=np.float32)
    assert best_path(np.log(probabilities + 1e-12)) == [B_MEAT, I_MEAT]


def test_a_certain_second_word_changes_the_label_of_the_first() -> None:
    # B-meat I-plant is not valid. B-plant I-plant .4 * .9 = .36 beats B-meat O .6 * .1 = .06
    probabilities = np.array([[0.0, 0.6, 0.0, 0.4, 0.0], [0.1, 0.0, 0.0, 0.0, 0.9]], dtype=np.float32)
    assert best_path(np.log(probabilities + 1e-12)) == [B_PLANT, I_PLANT]


def test_no_words_have_an_empty_path() -> None:
    assert best_path(np.zeros((0, 5), dtype=np.float32)) == []
    assert mention_words([]) == []


@pytest.mark.parametrize("words", [1, 2, 3, 4])
def test_the_best_path_is_that_of_brute_force(words: int) -> None:
    generator = np.random.default_rng(words)
    for _ in range(20):
        scores = np.log(softmax(generator.normal(0, 3, (words, tag_count(2))).astype(np.float32))).astype(np.float32)
        path = best_path(scores)
        assert is_valid(tuple(path))
        assert sum(scores[n, tag] for n, tag in enumerate(path)) == pytest.approx(brute_force(scores), abs=1e-5)


def test_the_best_paths_of_a_batch_are_those_of_its_sentences() -> None:
    # From whole numbers, so that ties are frequent; many of these sentences have no valid path of best tags.
    generator = np.random.default_rng(7)
    scores = generator.integers(-3, 1, (60, tag_count(2))).astype(np.float32)
    ends = [0, 1, 1, 9, 20, 22, 37, 60, 60]  # the first, third and last sentence have no words
    sentences = [slice(first, last) for first, last in itertools.pairwise((0, *ends))]
    paths = best_paths(scores, sentences).tolist()
    assert [paths[words] for words in sentences] == [best_path(scores[words]) for words in sentences]
    assert not all(is_valid(tuple(scores[words].argmax(axis=1))) for words in sentences)


def test_a_word_does_not_continue_the_mention_of_the_sentence_before() -> None:
    scores = np.full((2, tag_count(2)), -9.0, dtype=np.float32)
    scores[0, B_MEAT] = scores[1, I_MEAT] = 0.0
    assert best_paths(scores, [slice(0, 2)]).tolist() == [B_MEAT, I_MEAT]
    assert best_paths(scores, [slice(0, 1), slice(1, 2)]).tolist() == [B_MEAT, OUT]


@st.composite
def mentions_of_words(draw: st.DrawFn) -> tuple[int, list[tuple[int, int, int]]]:
    """A number of words, and mentions (first word, one past the last, label) that do not overlap."""
    words = draw(st.integers(0, 12))
    cuts = sorted(draw(st.sets(st.integers(0, words), max_size=8)))
    labels = st.none() | st.sampled_from(range(len(LABELS)))
    parts = [(first, last, draw(labels)) for first, last in itertools.pairwise(cuts)]
    return words, [(first, last, label) for first, last, label in parts if label is not None]


@given(mentions_of_words())
def test_tags_decode_to_the_mentions_they_encode(drawn: tuple[int, list[tuple[int, int, int]]]) -> None:
    words, wanted = drawn
    spans = [Span(4 * n, 4 * n + 3) for n in range(words)]  # words of three letters, a space between
    mentions = [LabelledSpan(Span(4 * first, 4 * last - 1), LABELS[label]) for first, last, label in wanted]
    tags = encode_tags(mentions, spans, LABELS)
    assert mention_words(tags) == wanted
    certain = np.full((words, tag_count(len(LABELS))), -20.0, dtype=np.float32)
    certain[range(words), tags] = 0.0
    assert best_path(certain) == tags
