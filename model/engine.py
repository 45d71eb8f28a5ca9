"""The inference engine: ONNX Runtime under the predictor. No torch, no transformers."""

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model.artifact import MODEL, TOKENIZER, Artifact
from model.decoding import Decoder
from model.outputs import INPUT_NAMES, OUTPUT_NAMES, Floats
from model.predictor import Predictor
from model.tokenization import SentenceTokenizer


class Engine(Predictor):
    """Labels sentences with one artifact; safe to call from several threads."""

    def __init__(self, artifact: Artifact, threads: int = 0) -> None:
        """Load the model.

        Args:
            threads: Threads of one run; 0 takes the cores there are.
        """
        super().__init__(
            SentenceTokenizer(artifact.folder / TOKENIZER, artifact.manifest["max_tokens"]),
            Decoder(artifact.codebook, artifact.calibration),
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.artifact = artifact
        self._session = onnxruntime.InferenceSession(
            str(artifact.folder / MODEL), options, providers=["CPUExecutionProvider"]
        )

    def _forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> list[Floats]:
        outputs: list[Floats] = self._session.run(list(OUTPUT_NAMES), dict(zip(INPUT_NAMES, (ids, mask), strict=True)))
        return outputs
