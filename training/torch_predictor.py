"""The torch model as a predictor: for development scores, calibration, and parity with the engine."""

import numpy as np
import torch
from numpy.typing import NDArray

from model.calibration import Calibration
from model.codebook import Codebook
from model.decoding import Decoder
from model.network import Network
from model.outputs import Floats
from model.predictor import Predictor
from model.tokenization import SentenceTokenizer


def uncalibrated(network: Network, tokenizer: SentenceTokenizer, codebook: Codebook) -> "TorchPredictor":
    """A predictor without calibration: while a network is trained, and to calibrate on."""
    return TorchPredictor(network, tokenizer, Decoder(codebook, Calibration()))


class TorchPredictor(Predictor):
    """Labels sentences with a network as it is at each call."""

    def __init__(self, network: Network, tokenizer: SentenceTokenizer, decoder: Decoder) -> None:
        super().__init__(tokenizer, decoder)
        self.network = network

    def _forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> list[Floats]:
        self.network.eval()
        with torch.inference_mode():
            return [out.numpy() for out in self.network(torch.from_numpy(ids), torch.from_numpy(mask))]
