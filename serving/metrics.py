"""What the service counts besides BentoML's own metrics: sentences, runs of the engine, labels, refusals.

Every series exists from the start, with the labels of the loaded codebook: nothing that a client sends makes a new one.
"""

import os
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, multiprocess

from model.codebook import Codebook
from model.predictions import Prediction
from serving.problems import REASONS

_NAMESPACE = "newsframe"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class Metrics:
    """The metrics of one worker process; BentoML's /metrics adds up those of all."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(name, about, labels, namespace=_NAMESPACE, registry=registry)

        def histogram(name: str, about: str, buckets: Sequence[float]) -> Histogram:
            return Histogram(name, about, namespace=_NAMESPACE, registry=registry, buckets=buckets)

        self._sentences = counter("sentences", "Sentences labelled")
        self._repeated = counter(
            "repeated_sentences", "Those of the sentences labelled that were labelled before, and took no computing"
        )
        self._tokens = counter("tokens", "Tokens of the sentences labelled")
        self._run_sentences = histogram("run_sentences", "Sentences of a run of the engine", _SIZES)
        self._run_tokens = histogram("run_tokens", "Tokens of a run of the engine", _TOKENS)
        self._run_seconds = histogram("run_seconds", "Time of a run of the engine", _SECONDS)
        self._queue_seconds = histogram("queue_seconds", "Time from a request to its first run", _SECONDS)
        self._labels = counter("labels", "Labels given", "axis", "label")
        self._abstained = counter("abstained", 'Sentences on which the model is "not sure" of an axis', "axis")
        self._rejected = counter("rejected", "Requests refused", "reason")
        self.waiting = Gauge(
            "waiting_tokens", "Tokens that wait for the engine, estimated", namespace=_NAMESPACE, registry=registry,
            multiprocess_mode="livesum",
        )  # fmt: skip
        for reason in REASONS.values():
            self._rejected.labels(reason)

    def load(self, codebook: Codebook) -> None:
        """Make a series of each label of a codebook."""
        for axis, label in _labels_of(codebook):
            self._labels.labels(axis, label)
        for axis_of in codebook.axes:
            self._abstained.labels(axis_of.name)

    def count_run(
        self, predictions: Sequence[Prediction], repeated: int, seconds: float, queued: Iterable[float], waiting: int
    ) -> None:
        """Count a run of the engine.

        Args:
            repeated: How many of its sentences the engine had labelled before, and kept.
            seconds: Time it took.
            queued: Seconds that each request waited that had its first sentence in this run.
            waiting: Estimated tokens that wait after it.
        """
        tokens = sum(prediction.n_tokens for prediction in predictions)
        self._sentences.inc(len(predictions))
        self._repeated.inc(repeated)
        self._tokens.inc(tokens)
        self._run_sentences.observe(len(predictions))
        self._run_tokens.observe(tokens)
        self._run_seconds.observe(seconds)
        for wait in queued:
            self._queue_seconds.observe(wait)
        self.waiting.set(waiting)
        given = Tally(pair for prediction in predictions for pair in _labels_given(prediction))
        for (axis, label), count in given.items():
            self._labels.labels(axis, label).inc(count)
        for axis, count in Tally(axis for prediction in predictions for axis in prediction.abstained).items():
            self._abstained.labels(axis).inc(count)

    def count_refusal(self, status: int) -> None:
        """Count a reply that is no success."""
        if reason := REASONS.get(status):
            self._rejected.labels(reason).inc()


def _labels_of(codebook: Codebook) -> Iterator[tuple[str, str]]:
    for axis in codebook.axes:
        yield from ((axis.name, label) for label in axis.label_names)
        if axis.summary:
            yield from ((axis.summary, label) for label in axis.summary_labels)


def _labels_given(prediction: Prediction) -> Iterator[tuple[str, str]]:
    names = prediction.names
    for mention in prediction.mentions:
        if names.mention:
            yield names.mention, mention.label
        if names.target and mention.target:
            yield names.target, mention.target.label
    if names.target:
        yield from ((names.target, target.label) for target in prediction.targets)
    if names.summary:
        yield from ((names.summary, label) for label in prediction.summary)
    for axis, given in prediction.labels.items():
        yield from ((axis, scored.label) for scored in given)


def forget_dead_workers() -> None:
    """Drop what killed workers left of gauges: their requests in progress would be counted for ever."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    for file in Path(folder).glob("gauge_live*_*.db") if folder else ():
        pid = file.stem.rpartition("_")[2]
        if pid.isdecimal() and not _lives(int(pid)):
            multiprocess.mark_process_dead(int(pid))  # type: ignore[no-untyped-call]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, and is another user's
        pass
    return True
