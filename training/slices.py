"""The headline figures within each value of a field of the gold records."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from model.errors import RecordError
from model.records import GoldSentence
from training.counts import CountTable, figures
from training.intervals import bootstrap_intervals

ARTICLE = "article"
MISSING = "(missing)"
MOST_VALUES = 50


def check_field(gold: Sequence[GoldSentence], field: str) -> None:
    """Refuse a field that no gold record has.

    Raises:
        RecordError: The message names the fields that exist.
    """
    there = sorted({ARTICLE}.union(*(s.extra for s in gold)))
    if field not in there:
        raise RecordError(f"--by: expected a field of the gold records, one of {there}, but found {field!r}. Name one.")


def slices(
    gold: Sequence[GoldSentence], tables: Mapping[str, CountTable], field: str, resamples: int, seed: int
) -> dict[str, Any]:
    """Score the sentences of each value of a field apart.

    Args:
        tables: Counts by axis, over the gold sentences.

    Returns:
        `values`, most frequent first and at most 50: `value`, `sentences`, `articles` and, for each axis with gold
        among them, `metric`, `value`, `interval`, `annotated`; `left_out`, the number of further values. A label
        that does not occur in a slice counts as 0 in its macro-F1.
    """
    held = [slice_value(sentence, field) for sentence in gold]
    articles = [sentence.article for sentence in gold]
    counts = Counter(held)
    rows = []
    for value, sentences in counts.most_common(MOST_VALUES):
        within = np.array([other == value for other in held])
        axes = {}
        for name, table in tables.items():
            summed = table.by_article(articles, within)
            if len(summed):
                figure = (table.axis.headline,)
                interval = bootstrap_intervals(table.axis, summed, resamples, seed)[figure]
                axes[name] = {
                    "metric": table.axis.headline,
                    "value": float(figures(table.axis, summed.sum(axis=0))[figure]),
                    "interval": list(interval) if interval else None,
                    "annotated": int((table.annotated & within).sum()),
                }
        inside = {article for article, mine in zip(articles, within, strict=True) if mine}
        rows.append({"value": value, "sentences": sentences, "articles": len(inside), "axes": axes})
    return {"values": rows, "left_out": len(counts) - len(rows)}


def slice_value(sentence: GoldSentence, field: str) -> str:
    """The value of a field, as text; the article is known of every sentence."""
    value = sentence.article if field == ARTICLE else sentence.extra.get(field)
    if value is None or value == "":
        return MISSING
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
