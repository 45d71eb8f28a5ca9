"""Sufficient counts: what every figure of an axis is made of, sentence by sentence, so that sums of them give it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.metrics import span_counts
from training.scored_axes import SPANS, Pairs, ScoredAxis

Numbers = NDArray[np.float64]
Figure = tuple[str, ...]  # where a figure stands in the metrics of its axis, such as ("labels", name, "f1")


@dataclass(frozen=True)
class CountTable:
    """The counts of one system on one axis.

    Attributes:
        counts: Shape (sentences, columns); all 0 where the axis is not annotated. For spans the columns are those of
            `span_counts`; else hits, predicted and gold of each label, decisions, and decisions wholly right.
        annotated: Shape (sentences,).
    """

    axis: ScoredAxis
    counts: Numbers
    annotated: NDArray[np.bool_]

    def by_article(self, articles: Sequence[str], within: NDArray[np.bool_] | None = None) -> Numbers:
        """Sum the counts of each article that holds an annotated sentence, in order of appearance.

        Args:
            articles: The article of each sentence.
            within: The sentences to count, shape (sentences,); None counts all.

        Returns:
            Shape (articles, columns).
        """
        held = self.annotated if within is None else self.annotated & within
        place: dict[str, int] = {}
        rows = [place.setdefault(articles[n], len(place)) for n in np.flatnonzero(held).tolist()]
        sums = np.zeros((len(place), self.counts.shape[1]))
        np.add.at(sums, rows, self.counts[held])
        return sums


def count_table(axis: ScoredAxis, pairs: Pairs) -> CountTable:
    """Count one axis, sentence by sentence."""
    width = 6 if axis.form == SPANS else 3 * len(axis.labels) + 2
    counts = np.zeros((len(pairs), width))
    annotated = np.array([axis.is_annotated(gold) for gold, _ in pairs], dtype=bool)
    for n in np.flatnonzero(annotated).tolist():
        gold, said = pairs[n]
        if axis.form == SPANS:
            counts[n] = span_counts(axis.spans(said.mentions), axis.spans(gold.mentions or ()))
            continue
        for wanted, found in axis.rows(gold, said):
            held = [[label in side for label in axis.labels] for side in (wanted & found, found, wanted)]
            counts[n] += [*np.ravel(held), 1, wanted == found]
    return CountTable(axis, counts, annotated)


def figures(axis: ScoredAxis, sums: Numbers) -> dict[Figure, Numbers]:
    """Every F1 and accuracy that summed counts give; a fraction of nothing is 0, as in `training.metrics`.

    Args:
        sums: Shape (..., columns).

    Returns:
        Each figure, shape (...), by its place in the metrics of the axis.
    """
    if axis.form == SPANS:
        exact, labelled, overlap_said, overlap_gold, said, gold = np.moveaxis(sums, -1, 0)
        precision, recall = _share(overlap_said, said), _share(overlap_gold, gold)
        return {
            ("span_f1",): _share(2 * exact, said + gold),
            ("labelled_span_f1",): _share(2 * labelled, said + gold),
            ("overlap_f1",): _share(2 * precision * recall, precision + recall),
        }
    width = len(axis.labels)
    hits, said, gold = (sums[..., n * width : (n + 1) * width] for n in range(3))
    f1 = _share(2 * hits, said + gold)
    found: dict[Figure, Numbers] = {("macro_f1",): f1.mean(axis=-1)}
    if axis.single:
        found["accuracy",] = _share(sums[..., -1], sums[..., -2])
    return found | {("labels", label, "f1"): f1[..., n] for n, label in enumerate(axis.labels)}


def _share(part: Numbers, whole: Numbers) -> Numbers:
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0)
