"""The inference engine: ONNX Runtime under the predictor. No torch, no transformers.

A sentence's outputs are the same bits in any company: sentences run together only where they have the same number of
tokens, so that nothing is padded; activations are quantised by fixed scales, whatever else runs; and a core runs a
whole batch by itself, so that no sum is divided among threads.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import onnxruntime

from model.artifact import MODEL, TOKENIZER, Artifact
from model.cores import cores
from model.decoding import Decoder, Tokens
from model.outputs import INPUT_NAMES, OUTPUT_NAMES, SentenceOutputs, split_batch
from model.predictions import Prediction
from model.predictor import TOKEN_BUDGET, Predictor, batches_by_length
from model.records import Sentence
from model.spans import Span
from model.tokenization import SentenceTokenizer

# The words of a sentence and the targets that were asked for.
_Key = tuple[str, tuple[tuple[str, Span], ...]]
CACHED_SENTENCES = 4096  # wire copy repeats; a prediction takes about 5 kB


class CacheInfo(NamedTuple):
    """How the cache of repeated sentences has done so far; `size` is what it holds now."""

    hits: int
    misses: int
    size: int


class Engine(Predictor):
    """Labels sentences with one artifact; safe to call from several threads."""

    def __init__(self, artifact: Artifact, threads: int = 0, cached: int = CACHED_SENTENCES) -> None:
        """Load the model.

        Args:
            threads: Batches that run at the same time, each on a core; 0 takes the cores there are.
            cached: Sentences whose predictions are kept; 0 keeps none.
        """
        super().__init__(
            SentenceTokenizer(artifact.folder / TOKENIZER, artifact.manifest["max_tokens"], artifact.names),
            Decoder(artifact.codebook, artifact.calibration),
        )
        self.artifact = artifact
        self._session = _session(artifact)
        self.threads = threads or cores()
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="engine") if self.threads > 1 else None
        self._cache = _Cache(cached)

    def __call__(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        """As `Predictor`; a sentence that was labelled before, with the same targets, is not labelled again."""
        keys = [(sentence.text, sentence.targets) for sentence in sentences]
        known = self._cache.find(keys)
        new = {key: sentence for key, sentence in zip(keys, sentences, strict=True) if key not in known}
        if new:
            labelled = dict(zip(new, super().__call__(list(new.values())), strict=True))
            self._cache.keep(labelled)
            known |= labelled
        return [known[key] for key in keys]

    def cache_info(self) -> CacheInfo:
        """Hits, misses and size of the cache of repeated sentences."""
        return self._cache.info()

    def outputs(self, tokens: Sequence[Tokens]) -> list[SentenceOutputs]:
        """As `Predictor`: the same bits for a sentence in any company."""
        batches = batches_by_length([len(t.ids) for t in tokens], TOKEN_BUDGET, equal=True)
        inputs = [[tokens[n] for n in numbers] for numbers in batches]
        # The longest batches first: what is left for the end is short, and no core waits long for another.
        runs = self._pool.map(self._run, reversed(inputs)) if self._pool and len(inputs) > 1 else None
        done = list(runs)[::-1] if runs else [self._run(batch) for batch in inputs]
        found: dict[int, SentenceOutputs] = {}
        for numbers, outputs in zip(batches, done, strict=True):
            found.update(zip(numbers, outputs, strict=True))
        return [found[n] for n in range(len(tokens))]

    def _run(self, tokens: list[Tokens]) -> list[SentenceOutputs]:
        ids = np.array([t.ids for t in tokens], dtype=np.int64)  # (B, L)
        outputs = self._session.run(list(OUTPUT_NAMES), dict(zip(INPUT_NAMES, (ids,), strict=True)))
        return split_batch(outputs, [ids.shape[1]] * len(tokens))


def _session(artifact: Artifact) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # see the head of this file
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The fused form of addition and normalisation is not vectorised: it takes three times as long as its two parts.
    return onnxruntime.InferenceSession(
        str(artifact.folder / MODEL),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["SkipLayerNormFusion"],
    )


class _Cache:
    """Predictions of the sentences used last, for several threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, Prediction] = OrderedDict()
        self._hits = self._misses = 0

    def find(self, keys: Sequence[_Key]) -> dict[_Key, Prediction]:
        with self._lock:
            found = {key: self._kept[key] for key in keys if key in self._kept}
            for key in found:
                self._kept.move_to_end(key)
            hits = sum(key in found for key in keys)
            self._hits += hits
            self._misses += len(keys) - hits
        return found

    def keep(self, predictions: dict[_Key, Prediction]) -> None:
        with self._lock:
            self._kept.update(predictions)
            while len(self._kept) > self._limit:
                self._kept.popitem(last=False)

    def info(self) -> CacheInfo:
        with self._lock:
            return CacheInfo(self._hits, self._misses, len(self._kept))
