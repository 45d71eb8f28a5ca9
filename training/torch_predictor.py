"""The torch model as a predictor: for development scores, calibration, and parity with the engine."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from model.calibration import Calibration
from model.codebook import Codebook
from model.decoding import Decoder, Tokens
from model.network import Network
from model.outputs import Floats, SentenceOutputs, split_batch
from model.predictor import TOKEN_BUDGET, Predictor, batches_by_length
from model.tokenization import SentenceTokenizer, pad


def uncalibrated(network: Network, tokenizer: SentenceTokenizer, codebook: Codebook) -> "TorchPredictor":
    """A predictor without calibration: while a network is trained, and to calibrate on."""
    return TorchPredictor(network, tokenizer, Decoder(codebook, Calibration()))


class TorchPredictor(Predictor):
    """Labels sentences with a network as it is at each call."""

    def __init__(self, network: Network, tokenizer: SentenceTokenizer, decoder: Decoder) -> None:
        super().__init__(tokenizer, decoder)
        self.network = network

    def outputs(self, tokens: Sequence[Tokens]) -> list[SentenceOutputs]:
        """As `Predictor`; sentences of unlike length share a padded batch."""
        found: dict[int, SentenceOutputs] = {}
        for numbers in batches_by_length([len(t.ids) for t in tokens], TOKEN_BUDGET):
            batch = [tokens[n].ids for n in numbers]
            ids, mask = pad(batch)  # (B, L)
            outputs = split_batch(self._forward(ids, mask), [len(row) for row in batch])
            found.update(zip(numbers, outputs, strict=True))
        return [found[n] for n in range(len(tokens))]

    def _forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> list[Floats]:
        self.network.eval()
        with torch.inference_mode():
            return [out.numpy() for out in self.network(torch.from_numpy(ids), torch.from_numpy(mask))]
