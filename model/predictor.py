"""From sentences to predictions with any model that gives raw outputs: tokenise, batch by length, decode."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from model.decoding import Decoder, Tokens
from model.outputs import SentenceOutputs
from model.predictions import Prediction
from model.records import Sentence
from model.tokenization import SentenceTokenizer

TOKEN_BUDGET = 1024  # tokens a run: enough to fill a core, little enough to stay in cache


class Predictor(ABC):
    """Labels sentences; what runs the network is for the subclass."""

    def __init__(self, tokenizer: SentenceTokenizer, decoder: Decoder) -> None:
        self.tokenizer = tokenizer
        self.decoder = decoder

    def __call__(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        """Label sentences, in order; their texts must have passed `check_text`."""
        tokens = self.tokenizer([sentence.text for sentence in sentences])
        return self.decoder.decode_batch(self.outputs(tokens), tokens, [sentence.targets for sentence in sentences])

    @abstractmethod
    def outputs(self, tokens: Sequence[Tokens]) -> list[SentenceOutputs]:
        """Raw outputs of each tokenised sentence, in order."""


def batches_by_length(lengths: Sequence[int], budget: int, equal: bool = False) -> list[list[int]]:
    """Group items of like length so that no padded batch exceeds a budget of tokens.

    Args:
        equal: Whether a batch may hold items of one length alone, so that nothing is padded.

    Returns:
        Indices of each batch, shortest items first; an item over the budget is a batch of its own.
    """
    batches: list[list[int]] = []
    for n in sorted(range(len(lengths)), key=lambda n: lengths[n]):
        fits = batches and (len(batches[-1]) + 1) * lengths[n] <= budget
        if fits and not (equal and lengths[batches[-1][0]] != lengths[n]):
            batches[-1].append(n)
        else:
            batches.append([n])
    return batches
