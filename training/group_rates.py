"""Rates of labels by outlet and by group of outlets, with intervals over articles, and tests of expected orderings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from model.codebook import Axis
from training.counts import Numbers
from training.intervals import percentile_interval, resampled_sums

HOLDS, CONTRARY, OPEN = "holds", "does not hold", "cannot tell"


@dataclass(frozen=True)
class Measure:
    """One rate: of a label among sentences, or among mentions that have any of some labels.

    Attributes:
        among: Labels of the mentions that count; empty takes the share of sentences.
    """

    name: str
    label: str
    among: tuple[str, ...] = ()

    def count(self, records: Sequence[Mapping[str, Any]], axis: Axis) -> tuple[int, int]:
        """How many of the labelled sentences or mentions have the label, and of how many."""
        if not self.among:
            return sum(self.label in record[str(axis.summary)] for record in records), len(records)
        labels = [mention["label"] for record in records for mention in record[axis.name]]
        return labels.count(self.label), sum(label in self.among for label in labels)


@dataclass(frozen=True)
class Counts:
    """Counts of an outlet or of a group of outlets.

    Attributes:
        sums: Part and whole of each measure in turn, shape (2 * measures,).
        draws: The same of resampled articles, shape (resamples, 2 * measures); None if nobody can say how they vary.
    """

    articles: int
    sums: Numbers
    draws: Numbers | None

    @property
    def rates(self) -> Numbers:
        """Shape (measures,); NaN where there is nothing to be a share of."""
        return _rates(self.sums)


def count_outlet(counts: Numbers, resamples: int, seed: int) -> Counts:
    """Sum and resample the articles of one outlet.

    Args:
        counts: Of each article, shape (articles, 2 * measures).
        seed: Another one for each outlet: equal ones would draw outlets of one size alike.
    """
    draws = resampled_sums(counts, resamples, seed) if len(counts) > 1 else None
    return Counts(len(counts), counts.sum(axis=0), draws)


def join_outlets(outlets: Sequence[Counts]) -> Counts:
    """Pool outlets. Each is resampled by itself: the outlets are those there are, only their articles vary.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", ch. 8, for samples of several strata.
    """
    # A single article stands as it is in every draw.
    draws = [outlet.sums if outlet.draws is None else outlet.draws for outlet in outlets]
    varying = any(outlet.draws is not None for outlet in outlets)
    articles = sum(outlet.articles for outlet in outlets)
    return Counts(articles, _add([outlet.sums for outlet in outlets]), _add(draws) if varying else None)


def rate_rows(counts: Counts, measures: Sequence[Measure]) -> dict[str, dict[str, Any]]:
    """The rate of each measure with its 95 % interval; None where there is nothing to count."""
    rows = {}
    for n, measure in enumerate(measures):
        part, whole = counts.sums[2 * n : 2 * n + 2]
        draws = None if counts.draws is None else _rates(counts.draws)[:, n]
        rows[measure.name] = {
            "count": int(part),
            "of": int(whole),
            "rate": float(part / whole) if whole else None,
            "interval": _interval(draws),
        }
    return rows


def check_order(groups: Mapping[str, Counts], order: Sequence[str], measure: int) -> list[dict[str, Any]]:
    """Test every pair of an expected order, from the highest rate to the lowest.

    Args:
        measure: Place of the measure in the rates.

    Returns:
        For each pair the difference of the rates with its 95 % interval, and a verdict: `HOLDS` if the interval lies
        above 0, `CONTRARY` if below, else `OPEN`.
    """
    found = []
    for higher, lower in combinations(order, 2):
        above, below = groups.get(higher), groups.get(lower)
        difference, interval = None, None
        if above and below:
            value = float(above.rates[measure] - below.rates[measure])
            difference = None if np.isnan(value) else value
            if above.draws is not None and below.draws is not None:
                interval = _interval(_rates(above.draws)[:, measure] - _rates(below.draws)[:, measure])
        verdict = (
            OPEN if interval is None or interval[0] <= 0 <= interval[1] else HOLDS if interval[0] > 0 else CONTRARY
        )
        found.append(
            {"higher": higher, "lower": lower, "difference": difference, "interval": interval, "verdict": verdict}
        )
    return found


def _add(parts: Sequence[Numbers]) -> Numbers:
    total: Numbers = np.zeros(1)
    for part in parts:
        total = total + part
    return total


def _rates(sums: Numbers) -> Numbers:
    part, whole = sums[..., ::2], sums[..., 1::2]
    rates: Numbers = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return rates


def _interval(draws: Numbers | None) -> list[float] | None:
    """None if some draw holds nothing to be a share of: the articles are too few to say."""
    return None if draws is None or np.isnan(draws).any() else list(percentile_interval(draws))
