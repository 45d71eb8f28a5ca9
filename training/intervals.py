"""Intervals by cluster bootstrap over articles: sentences of one article are no independent evidence."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from training.counts import Figure, Numbers, figures
from training.scored_axes import ScoredAxis

LEVEL = 0.95
RESAMPLES, SEED = 1000, 7
_BLOCK = 4_000_000  # weights held at once: 32 MB

Interval = tuple[float, float]


def resampled_sums(counts: Numbers, resamples: int, seed: int) -> Numbers:
    """Draw articles with replacement, as many as there are, and sum their counts.

    Args:
        counts: Shape (articles, columns).

    Returns:
        Shape (resamples, columns); the same draws for the same number of articles and the same seed.
    """
    articles = len(counts)
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // articles)
    sums = []
    for first in range(0, resamples, block):
        weights = generator.multinomial(articles, np.full(articles, 1 / articles), min(block, resamples - first))
        sums.append(weights.astype(np.float64) @ counts)  # (B, articles) @ (articles, columns)
    return np.concatenate(sums)


def percentile_interval(values: Numbers) -> Interval:
    """The interval that holds the middle 95 % of resampled values, shape (resamples,)."""
    low, high = np.percentile(values, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(low), float(high)


def bootstrap_intervals(axis: ScoredAxis, counts: Numbers, resamples: int, seed: int) -> dict[Figure, Interval | None]:
    """Percentile intervals of every figure of an axis.

    Args:
        counts: Of each article, shape (articles, columns).

    Returns:
        95 % intervals; None with fewer than two articles, whose variation nobody has seen.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", ch. 13; Field and Welsh 2007,
    "Bootstrapping clustered data", for clusters drawn whole.
    """
    if len(counts) < 2:
        return dict.fromkeys(figures(axis, counts.sum(axis=0)))
    found = figures(axis, resampled_sums(counts, resamples, seed))
    return {figure: percentile_interval(values) for figure, values in found.items()}


def with_intervals(metrics: Mapping[str, Any], intervals: Mapping[Figure, Interval | None]) -> dict[str, Any]:
    """Put each interval beside its figure, as `<figure>_interval`: [low, high] or None."""
    found: dict[str, Any] = {}
    for key, value in metrics.items():
        found[key] = value
        if (key,) in intervals:
            found[f"{key}_interval"] = _as_list(intervals[key,])
        elif isinstance(value, Mapping):
            inner = {figure[1:]: interval for figure, interval in intervals.items() if figure[0] == key}
            found[key] = with_intervals(value, inner)
    return found


def _as_list(interval: Interval | None) -> list[float] | None:
    return list(interval) if interval else None
