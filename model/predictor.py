"""From sentences to predictions with any model that gives raw outputs: tokenise, batch by length, decode."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.decoding import Decoder, Tokens
from model.outputs import Floats, SentenceOutputs, split_batch
from model.predictions import Prediction
from model.records import Sentence
from model.tokenization import SentenceTokenizer, pad

TOKEN_BUDGET = 1024  # padded tokens a run: enough to fill two cores, little enough to stay in cache


class Predictor(ABC):
    """Labels sentences; what runs the network is for the subclass."""

    def __init__(self, tokenizer: SentenceTokenizer, decoder: Decoder) -> None:
        self.tokenizer = tokenizer
        self.decoder = decoder

    def __call__(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        """Label sentences, in order; their texts must have passed `check_text`."""
        tokens = self.tokenizer([sentence.text for sentence in sentences])
        return self.decoder.decode_batch(self.outputs(tokens), tokens, [sentence.targets for sentence in sentences])

    def outputs(self, tokens: Sequence[Tokens]) -> list[SentenceOutputs]:
        """Raw outputs of each tokenised sentence, in order."""
        found: dict[int, SentenceOutputs] = {}
        for numbers in batches_by_length([len(t.ids) for t in tokens], TOKEN_BUDGET):
            for n, out in zip(numbers, self._run([tokens[n] for n in numbers]), strict=True):
                found[n] = out
        return [found[n] for n in range(len(tokens))]

    def _run(self, tokens: list[Tokens]) -> list[SentenceOutputs]:
        ids, mask = pad([t.ids for t in tokens])  # (B, L)
        return split_batch(self._forward(ids, mask), [len(t.ids) for t in tokens])

    @abstractmethod
    def _forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> list[Floats]:
        """Run the network on token ids and their mask, both (B, L); outputs in the order of `OUTPUT_NAMES`."""


def batches_by_length(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group items of like length so that no padded batch exceeds a budget of tokens.

    Returns:
        Indices of each batch, shortest items first; an item over the budget is a batch of its own.
    """
    batches: list[list[int]] = []
    for n in sorted(range(len(lengths)), key=lambda n: lengths[n]):
        if batches and (len(batches[-1]) + 1) * lengths[n] <= budget:
            batches[-1].append(n)
        else:
            batches.append([n])
    return batches
