"""Rates of labels by outlet and by period, with cluster-bootstrap intervals over documents, in bounded memory.

The bootstrap draws whole documents: sentences of one are no independent evidence. Of a group with more documents than
`CELLS` it draws cells, to which the documents were dealt out in turn: the sum of a cell varies as the sum of its
documents does, so the intervals are of the same width, and no document has to be kept.

Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", ch. 13; Field and Welsh 2007, "Bootstrapping
clustered data".
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.codebook import Codebook
from serving.archive.tables import rate_columns, span_columns

LEVEL = 0.95
RESAMPLES, SEED = 1000, 7
CELLS = 2000
_LABELLED = "labelled"

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """One rate: the share of labelled sentences, or of mentions, that have a label.

    Attributes:
        of_mentions: Whether it is a share of mentions.
        part: The column that is counted, of the columns of `count_columns`.
        whole: The columns whose sum it is a share of.
    """

    axis: str
    label: str
    of_mentions: bool
    part: int
    whole: tuple[int, ...]


@dataclass(frozen=True)
class Rate:
    """A rate with its interval; None where there is nothing to be a share of, or too little to say."""

    part: int
    whole: int
    value: float | None
    interval: tuple[float, float] | None


def count_columns(codebook: Codebook) -> list[str]:
    """The columns of the documents table that rates are made of."""
    pairs = [*rate_columns(codebook), *span_columns(codebook)]
    return [_LABELLED, *(f"count.{axis}.{label}" for axis, label in pairs)]


def measures(codebook: Codebook) -> list[Measure]:
    """Every rate that a codebook gives, in the order of its columns."""
    places = {name: n for n, name in enumerate(count_columns(codebook))}
    found = [Measure(a, b, False, places[f"count.{a}.{b}"], (0,)) for a, b in rate_columns(codebook)]
    spans = span_columns(codebook)
    for axis, label in spans:
        whole = tuple(places[f"count.{axis}.{other}"] for name, other in spans if name == axis)
        found.append(Measure(axis, label, True, places[f"count.{axis}.{label}"], whole))
    return found


@dataclass
class _Group:
    """The documents of a group, dealt out to cells; shape (cells, columns)."""

    documents: int
    cells: Numbers

    def add(self, counts: Numbers) -> None:
        places = (self.documents + np.arange(len(counts))) % CELLS
        self.documents += len(counts)
        if (short := min(self.documents, CELLS) - len(self.cells)) > 0:
            spare = max(short, min(len(self.cells), CELLS - len(self.cells)))
            self.cells = np.concatenate([self.cells, np.zeros((spare, self.cells.shape[1]))])
        np.add.at(self.cells, places, counts)


@dataclass
class Groups:
    """Counts of documents, group by group.

    Attributes:
        columns: How many columns are counted.
    """

    columns: int
    _groups: dict[Hashable, _Group] = field(default_factory=dict)

    def add(self, keys: Sequence[Hashable], counts: Numbers) -> None:
        """Count documents.

        Args:
            keys: The group of each document; None leaves it out.
            counts: Shape (documents, columns).
        """
        places: dict[Hashable, list[int]] = {}
        for n, key in enumerate(keys):
            if key is not None:
                places.setdefault(key, []).append(n)
        for key, rows in places.items():
            group = self._groups.setdefault(key, _Group(0, np.zeros((0, self.columns))))
            group.add(counts[rows])

    def documents(self, key: Hashable) -> int:
        """Documents of a group."""
        return self._groups[key].documents if key in self._groups else 0

    def sums(self, key: Hashable) -> Numbers:
        """Counts of a group, shape (columns,)."""
        return self._groups[key].cells.sum(axis=0) if key in self._groups else np.zeros(self.columns)

    def rates(self, key: Hashable, wanted: Sequence[Measure], seed: Sequence[int]) -> list[Rate]:
        """Rates of a group with 95 % intervals.

        Args:
            seed: Of the resamples; another one for each group, since equal ones draw groups of one size alike.
        """
        sums, draws = self.sums(key), None
        if self.documents(key) > 1:
            group = self._groups[key]
            draws = resampled_sums(group.cells[: min(group.documents, CELLS)], RESAMPLES, seed)
        return [_rate(measure, sums, draws) for measure in wanted]


def resampled_sums(counts: Numbers, resamples: int, seed: Sequence[int]) -> Numbers:
    """Draw rows with replacement, as many as there are, and sum them.

    Args:
        counts: Shape (rows, columns).

    Returns:
        Shape (resamples, columns).
    """
    generator = np.random.default_rng(list(seed))
    weights = generator.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), resamples)
    return weights.astype(np.float64) @ counts  # (resamples, rows) @ (rows, columns)


def _rate(measure: Measure, sums: Numbers, draws: Numbers | None) -> Rate:
    part, whole = float(sums[measure.part]), float(sums[list(measure.whole)].sum())
    interval = None
    if whole and draws is not None:
        wholes = draws[:, list(measure.whole)].sum(axis=1)
        if wholes.all():  # else the documents are too few to say
            low, high = np.percentile(draws[:, measure.part] / wholes, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
            interval = (float(low), float(high))
    return Rate(int(part), int(whole), part / whole if whole else None, interval)


def matrix(batch: Mapping[str, Any], columns: Sequence[str]) -> Numbers:
    """Columns of numbers of a record batch, shape (rows, columns); a null counts as 0."""
    found = [np.nan_to_num(batch[name].to_numpy(zero_copy_only=False).astype(np.float64)) for name in columns]
    return np.stack(found, axis=1)
