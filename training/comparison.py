"""Two systems on the same gold: differences, their intervals, and a test that pairs them article by article."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.counts import CountTable, Numbers, figures
from training.intervals import percentile_interval, resampled_sums
from training.scored_axes import ScoredAxis

DRAWS = 2000


def compare(
    ours: Mapping[str, CountTable],
    theirs: Mapping[str, CountTable],
    articles: Sequence[str],
    resamples: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Compare the headline metric of every axis that both systems are scored on.

    Args:
        ours, theirs: Counts by axis, over the same sentences.
        articles: The article of each sentence.

    Returns:
        For each axis `metric`, `ours`, `theirs`, `difference` (ours less theirs), `interval` (95 %, paired: both
        systems on the same resampled articles; None with a single article) and `p_value`.

    Source: Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation", for the paired bootstrap.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, table in ours.items():
        if name not in theirs or not table.annotated.any():
            continue
        axis = table.axis
        left, right = table.by_article(articles), theirs[name].by_article(articles)
        our_value, their_value = float(_value(axis, left.sum(axis=0))), float(_value(axis, right.sum(axis=0)))
        interval = None
        if len(left) > 1:
            drawn = (_value(axis, resampled_sums(counts, resamples, seed)) for counts in (left, right))
            interval = list(percentile_interval(np.subtract(*drawn)))
        found[name] = {
            "metric": axis.headline,
            "ours": our_value,
            "theirs": their_value,
            "difference": our_value - their_value,
            "interval": interval,
            "p_value": randomisation_p_value(axis, left, right, seed),
        }
    return found


def randomisation_p_value(axis: ScoredAxis, left: Numbers, right: Numbers, seed: int, draws: int = DRAWS) -> float:
    """Test by approximate randomisation whether two systems differ in the headline metric of an axis.

    Each draw swaps the two systems' counts of each article with a chance of one half; the p-value is the share of
    draws whose difference is at least as large, in either direction, the observed one counted among them:
    (r + 1) / (draws + 1).

    Args:
        left, right: Counts of each article, both of shape (articles, columns).

    Source: Noreen 1989, "Computer-Intensive Methods for Testing Hypotheses"; Yeh 2000, "More accurate tests for the
    statistical significance of result differences".
    """
    observed = abs(_value(axis, left.sum(axis=0)) - _value(axis, right.sum(axis=0)))
    generator = np.random.default_rng(seed)
    swapped = generator.integers(0, 2, (draws, len(left))).astype(np.float64) @ (right - left)  # (draws, columns)
    differences = _value(axis, left.sum(axis=0) + swapped) - _value(axis, right.sum(axis=0) - swapped)
    # The same sums in another order may differ in the last digits.
    at_least = int((np.abs(differences) >= observed - 1e-12).sum())
    return (at_least + 1) / (draws + 1)


def _value(axis: ScoredAxis, sums: Numbers) -> Numbers:
    return figures(axis, sums)[axis.headline,]
