"""Tokenisation with exact character spans, by the tokenizer of the base encoder."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from model.decoding import Tokens
from model.names import NameList, Renamed
from model.spans import Span

MAX_TOKENS = 256  # special tokens included: what all-MiniLM-L6-v2 was trained for


def pad(ids: Sequence[Sequence[int]], multiple: int = 1) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Put sentences of unlike length into one batch.

    Args:
        ids: Token ids of each sentence.
        multiple: What the width is a multiple of.

    Returns:
        Token ids and their mask, 1 for tokens and 0 for padding, both (B, L).
    """
    width = -(-max(len(row) for row in ids) // multiple) * multiple
    padded = np.zeros((len(ids), width), dtype=np.int64)
    mask = np.zeros_like(padded)
    for n, row in enumerate(ids):
        padded[n, : len(row)] = row
        mask[n, : len(row)] = 1
    return padded, mask


class SentenceTokenizer:
    """Wraps a `tokenizer.json`; padding is left to the caller, truncation is counted."""

    def __init__(self, file: Path, max_tokens: int = MAX_TOKENS, names: NameList | None = None) -> None:
        """Load a tokenizer.

        Args:
            names: Names to hide; the spans of the tokens lie in the text as it was given all the same.
        """
        self.names = names
        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)

    def ids_of(self, words: Iterable[str]) -> list[int]:
        """Ids of those words that are tokens of their own, and of the special tokens."""
        special = [token_id for token_id, token in self._tokenizer.get_added_tokens_decoder().items() if token.special]
        found = (self._tokenizer.token_to_id(word) for word in words)
        return sorted({*special, *(token_id for token_id in found if token_id is not None)})

    def __call__(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenise sentences; those longer than `max_tokens` lose their end."""
        hidden = [self.names.hide(text) if self.names else Renamed(text, ()) for text in texts]
        return [
            Tokens(
                ids=encoding.ids,
                spans=seen.originals([Span(*offsets) for offsets in encoding.offsets]),
                words=encoding.word_ids,
                total=_words_tokens(encoding) + sum(_words_tokens(part) for part in encoding.overflowing),
            )
            for seen, encoding in zip(hidden, self._tokenizer.encode_batch([h.text for h in hidden]), strict=True)
        ]


def _words_tokens(encoding: Encoding) -> int:
    return len(encoding.ids) - sum(encoding.special_tokens_mask)
