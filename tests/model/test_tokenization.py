"""Tokens with exact character spans."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.decoding import Tokens
from model.spans import Span
from model.tokenization import SentenceTokenizer

TINY_MAX_TOKENS = 32


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer_file: Path) -> SentenceTokenizer:
    return SentenceTokenizer(tiny_tokenizer_file, TINY_MAX_TOKENS)


def words(tokens: Tokens, text: str) -> list[tuple[int, str]]:
    """Word index and characters of each token, special tokens left out."""
    pairs = zip(tokens.words, tokens.spans, strict=True)
    return [(word, span.of(text)) for word, span in pairs if word is not None]


def test_a_token_span_slices_back_to_its_characters(tokenizer: SentenceTokenizer) -> None:
    text = "First sear the beef hard."
    [tokens] = tokenizer([text])
    assert words(tokens, text) == list(enumerate(["First", "sear", "the", "beef", "hard", "."]))


def test_the_pieces_of_one_word_share_its_index(tokenizer: SentenceTokenizer) -> None:
    text = "the kale"  # "kale" is not in the vocabulary: four characters, four pieces
    [tokens] = tokenizer([text])
    assert words(tokens, text) == [(0, "the"), (1, "k"), (1, "a"), (1, "l"), (1, "e")]


def test_offsets_count_code_points_also_after_emoji_and_accents(tokenizer: SentenceTokenizer) -> None:
    text = "🥩🥬 Café: the beef"  # the two emoji make one unknown word, the colon another
    [tokens] = tokenizer([text])
    assert words(tokens, text)[-2:] == [(3, "the"), (4, "beef")]
    assert tokens.spans[-2] == Span(13, 17)
    assert [piece for word, piece in words(tokens, text) if word == 1] == ["C", "a", "f", "é"]


def test_special_tokens_have_an_empty_span_and_no_word(tokenizer: SentenceTokenizer) -> None:
    [tokens] = tokenizer(["the beef"])
    for end in (0, -1):
        assert tokens.words[end] is None
        assert tokens.spans[end].start == tokens.spans[end].end


def test_tokens_are_counted_without_the_special_ones(tokenizer: SentenceTokenizer) -> None:
    [tokens] = tokenizer(["Serve at once."])
    assert (tokens.total, len(tokens.ids), tokens.truncated) == (4, 6, False)


def test_a_long_sentence_loses_its_end_and_says_so(tokenizer: SentenceTokenizer) -> None:
    [tokens] = tokenizer(["beef " * 100])
    assert (tokens.total, len(tokens.ids), tokens.truncated) == (100, TINY_MAX_TOKENS, True)


@pytest.mark.parametrize(("count", "truncated"), [(TINY_MAX_TOKENS - 2, False), (TINY_MAX_TOKENS - 1, True)])
def test_a_sentence_is_truncated_only_beyond_the_limit(
    tokenizer: SentenceTokenizer, count: int, truncated: bool
) -> None:
    [tokens] = tokenizer(["beef " * count])
    assert (tokens.total, tokens.truncated) == (count, truncated)


def test_a_sentence_has_the_same_tokens_alone_and_among_others(tokenizer: SentenceTokenizer) -> None:
    texts = ["Serve at once.", "beef " * 50, "kale"]
    assert tokenizer(texts) == [tokens for text in texts for tokens in tokenizer([text])]


def test_ids_are_those_of_whole_words_of_the_vocabulary_and_of_the_special_tokens(
    tokenizer: SentenceTokenizer,
) -> None:
    [tokens] = tokenizer(["the beef"])
    specials = list(range(5))  # the first five of the vocabulary
    assert tokenizer.ids_of(["the", "kale", "beef", "the"]) == sorted({*specials, *tokens.ids[1:-1]})
    assert tokenizer.ids_of([]) == specials


def test_no_sentences_have_no_tokens(tokenizer: SentenceTokenizer) -> None:
    assert tokenizer([]) == []


@given(text=st.text(max_size=60))
def test_token_spans_lie_in_the_text_in_order(tokenizer: SentenceTokenizer, text: str) -> None:
    [tokens] = tokenizer([text])
    inner = [span for span, word in zip(tokens.spans, tokens.words, strict=True) if word is not None]
    assert all(0 <= span.start <= span.end <= len(text) for span in inner)
    assert inner == sorted(inner)
    assert len(tokens.ids) == len(tokens.spans) == len(tokens.words)
