"""Predict with the torch model through the same decoding as the engine."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from model.decoding import Decoder, Tokens
from model.network import Network
from model.outputs import SentenceOutputs, split_batch
from model.predictions import Prediction
from model.records import Sentence
from model.tokenization import SentenceTokenizer


class TorchPredictor:
    """The torch model as a predictor, for development scores and for parity with the engine."""

    def __init__(self, network: Network, tokenizer: SentenceTokenizer, decoder: Decoder) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self.decoder = decoder

    def __call__(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        """Label sentences, in order."""
        tokens = self.tokenizer([s.text for s in sentences])
        outputs = self.outputs(tokens)
        return [
            self.decoder.decode(out, tok, sentence.targets)
            for out, tok, sentence in zip(outputs, tokens, sentences, strict=True)
        ]

    def outputs(self, tokens: Sequence[Tokens], batch: int = 32) -> list[SentenceOutputs]:
        """Raw outputs of each sentence, in order."""
        order = sorted(range(len(tokens)), key=lambda n: len(tokens[n].ids))
        found: list[SentenceOutputs | None] = [None] * len(tokens)
        self.network.eval()
        for start in range(0, len(order), batch):
            numbers = order[start : start + batch]
            for n, out in zip(numbers, self._run([tokens[n] for n in numbers]), strict=True):
                found[n] = out
        return [out for out in found if out is not None]

    def _run(self, tokens: list[Tokens]) -> Iterator[SentenceOutputs]:
        lengths = [len(t.ids) for t in tokens]
        ids = np.zeros((len(tokens), max(lengths)), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, t in enumerate(tokens):
            ids[row, : len(t.ids)] = t.ids
            mask[row, : len(t.ids)] = 1
        with torch.inference_mode():
            outputs = self.network(torch.from_numpy(ids), torch.from_numpy(mask))
        yield from split_batch([out.numpy() for out in outputs], lengths)
