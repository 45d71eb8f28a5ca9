"""Predictions in few bytes: how they travel between processes, wait for a repeated sentence, and become columns.

A prediction as objects takes some 10 KB and a Python object a number; packed it takes about 100 bytes, and everything
that is done with many of them is done by numpy at once. Nothing is lost that a record shows: scores have 4 digits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.codebook import Codebook
from model.predictions import ABSTAINED, Prediction, rounded
from serving.archive.tables import score_columns

Rows = NDArray[Any]
Numbers = NDArray[np.int64]
SCORE_UNITS, WEIGHT_UNITS = 10_000, 1000  # a score has 4 digits, the weight of a piece of evidence 3
NONE = 0xFFFF  # in the place of a score or a label: there is none

# Offsets fit 16 bits: a sentence has at most 10,000 characters (`model.records.MAX_CHARACTERS`).
_SPAN = [("start", "<u2"), ("end", "<u2")]
MENTIONS = np.dtype([*_SPAN, ("label", "<u2"), ("score", "<u2"), ("towards", "<u2"), ("towards_score", "<u2")])
EVIDENCE = np.dtype([*_SPAN, ("column", "<u2"), ("weight", "<u2")])
TARGETS = np.dtype([*_SPAN, ("label", "<u2"), ("score", "<u2")])
# The lists of a prediction, each with the field of a row that counts its items.
LISTS = {"spans": ("n_spans", MENTIONS), "evidence": ("n_evidence", EVIDENCE), "targets": ("n_targets", TARGETS)}


class Layout:
    """Where a codebook's labels stand in a packed row."""

    def __init__(self, codebook: Codebook) -> None:
        self.codebook = codebook
        mention, target = codebook.mention_axis, codebook.target_axis
        self.axes = [axis.name for axis in codebook.axes]
        self.span_labels = mention.label_names if mention else ()
        self.summary_labels = mention.summary_labels if mention and mention.summary else ()
        self.target_labels = target.label_names if target else ()
        self.sentence_labels = codebook.sentence_labels
        self.scores = score_columns(codebook)
        self.row = np.dtype(
            [
                ("n_tokens", "<u4"),
                ("truncated", "u1"),
                ("unsure", "u1"),
                ("abstained", "u1", (len(self.axes),)),
                ("summary", "u1", (len(self.summary_labels),)),
                ("held", "u1", (len(self.sentence_labels),)),
                ("scores", "<u2", (len(self.scores),)),
                *((count, "<u2") for count, _ in LISTS.values()),
            ]
        )


@dataclass(frozen=True)
class Packed:
    """Predictions of sentences, in order.

    Attributes:
        rows: Shape (sentences,), of `Layout.row`.
        spans: Mentions of all sentences, one after the other; of `MENTIONS`.
        evidence: Words that made the labels of sentence axes; of `EVIDENCE`.
        targets: Labels of the targets that were asked for; of `TARGETS`.
    """

    rows: Rows
    spans: Rows
    evidence: Rows
    targets: Rows

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: Numbers) -> "Packed":
        """Choose predictions by their places, in any order and any number of times."""
        lists = {name: getattr(self, name)[ragged(self.rows[count], indices)] for name, (count, _) in LISTS.items()}
        return Packed(self.rows[indices], **lists)

    def to_bytes(self) -> list[bytes]:
        """Give each prediction as bytes of its own."""
        pieces = [_cut(self.rows, np.arange(len(self) + 1))]
        pieces += [_cut(getattr(self, name), offsets(self.rows[count])) for name, (count, _) in LISTS.items()]
        return [b"".join(parts) for parts in zip(*pieces, strict=True)]


def empty(layout: Layout) -> Packed:
    """No predictions."""
    return Packed(np.zeros(0, layout.row), **{name: np.zeros(0, kind) for name, (_, kind) in LISTS.items()})


def blank(layout: Layout) -> Packed:
    """One prediction that says nothing, for a sentence that was not labelled."""
    rows = np.zeros(1, layout.row)
    rows["scores"] = NONE
    return Packed(rows, **{name: np.zeros(0, kind) for name, (_, kind) in LISTS.items()})


def concatenate(parts: Sequence[Packed], layout: Layout) -> Packed:
    """Join predictions into one sequence."""
    parts = [empty(layout), *parts]
    return Packed(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("rows", *LISTS)))


def from_bytes(blobs: Sequence[bytes], layout: Layout) -> Packed:
    """Read predictions that `Packed.to_bytes` wrote."""
    size = layout.row.itemsize
    rows = np.frombuffer(b"".join([blob[:size] for blob in blobs]), layout.row)
    start = np.full(len(blobs), size, dtype=np.int64)
    lists = {}
    for name, (count, kind) in LISTS.items():
        end = start + rows[count].astype(np.int64) * kind.itemsize
        pieces = [blob[a:b] for blob, a, b in zip(blobs, start.tolist(), end.tolist(), strict=True)]
        lists[name] = np.frombuffer(b"".join(pieces), kind)
        start = end
    return Packed(rows, **lists)


def pack(predictions: Iterable[Prediction], layout: Layout) -> Packed:
    """Put predictions into few bytes; see the head of this file."""
    label_of = {name: n for n, name in enumerate(layout.span_labels)}
    target_of = {name: n for n, name in enumerate(layout.target_labels)}
    column_of = {pair: n for n, pair in enumerate(layout.sentence_labels)}
    rows: list[tuple[Any, ...]] = []
    spans: list[tuple[int, ...]] = []
    evidence: list[tuple[int, ...]] = []
    targets: list[tuple[int, ...]] = []
    for prediction in predictions:
        before = len(evidence)
        held = [0] * len(column_of)
        for axis, labels in prediction.labels.items():
            for scored in labels:
                column = column_of[axis, scored.label]
                held[column] = 1
                for e in scored.evidence:
                    evidence.append((e.span.start, e.span.end, column, round(round(e.weight, 3) * WEIGHT_UNITS)))
        for m in prediction.mentions:
            towards = (target_of[m.target.label], _units(m.target.score)) if m.target else (NONE, NONE)
            spans.append((m.span.start, m.span.end, label_of[m.label], _units(m.score), *towards))
        targets += [(t.span.start, t.span.end, target_of[t.label], _units(t.score)) for t in prediction.targets]
        scores = [prediction.scores.get(axis, {}).get(label) for axis, label in layout.scores]
        rows.append(
            (
                prediction.n_tokens,
                prediction.truncated,
                prediction.status == ABSTAINED,
                [name in prediction.abstained for name in layout.axes],
                [name in prediction.summary for name in layout.summary_labels],
                held,
                [NONE if score is None else _units(score) for score in scores],
                len(prediction.mentions),
                len(evidence) - before,
                len(prediction.targets),
            )
        )
    lists = {"spans": spans, "evidence": evidence, "targets": targets}
    return Packed(
        np.array(rows, layout.row), **{name: np.array(lists[name], kind) for name, (_, kind) in LISTS.items()}
    )


def _units(score: float) -> int:
    # By way of the rounding that records use, so that both show the same digits.
    return round(rounded(score) * SCORE_UNITS)


def offsets(counts: Rows) -> Numbers:
    """Where each list begins when lists of these lengths stand one after the other; shape (lists + 1,)."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def ragged(counts: Rows, indices: Numbers) -> Numbers:
    """Places of the items of chosen lists, when lists of these lengths stand one after the other."""
    lengths = counts[indices].astype(np.int64)
    starts = offsets(counts)[indices]
    return np.arange(lengths.sum()) + np.repeat(starts - offsets(lengths)[:-1], lengths)


def owners(counts: Rows) -> Numbers:
    """The list that each item belongs to, when lists of these lengths stand one after the other."""
    return np.repeat(np.arange(len(counts)), counts)


def _cut(items: Rows, places: Numbers) -> list[bytes]:
    data, size = items.tobytes(), items.dtype.itemsize
    edges = (places * size).tolist()
    return [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]
