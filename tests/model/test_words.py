"""Grouping the tokens of a batch into words."""

from model.spans import Span
from model.words import Words, group_words

FIRST = ([None, 0, 1, 1, None], [Span(0, 0), Span(0, 3), Span(4, 6), Span(6, 8), Span(0, 0)])
EMPTY = ([None, None], [Span(0, 0), Span(0, 0)])


def test_the_tokens_of_one_word_make_one() -> None:
    assert group_words([FIRST]) == Words([slice(0, 2)], [0, 4], [3, 8], [1, 2], [-1, 0, 1, 1, -1])


def test_words_are_counted_over_the_batch_and_characters_in_the_sentence() -> None:
    # Both sentences have a word of index 1; the first token of the third word is that at 5 + 2 + 1.
    words = group_words([FIRST, EMPTY, FIRST])
    assert words.sentences == [slice(0, 2), slice(2, 2), slice(2, 4)]
    assert (words.starts, words.ends) == ([0, 4, 0, 4], [3, 8, 3, 8])
    assert words.first_tokens == [1, 2, 8, 9]
    assert words.of_tokens == [-1, 0, 1, 1, -1, -1, -1, -1, 2, 3, 3, -1]


def test_neighbouring_sentences_share_no_word_even_without_special_tokens() -> None:
    assert group_words([([0], [Span(0, 3)]), ([0], [Span(0, 3)])]).starts == [0, 0]
