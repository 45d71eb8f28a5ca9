"""The most confident errors: what a reader should look at first."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from model.predictions import Prediction, rounded
from model.records import GoldSentence
from model.spans import Span
from training.scored_axes import NO_LABEL, ONE, SPANS, TARGETS, Pairs, ScoredAxis

MISTAKES = 50


def mistakes(axes: Sequence[ScoredAxis], pairs: Pairs, most: int = MISTAKES) -> list[dict[str, Any]]:
    """List errors, the most confident first; those without a score come last, in the order of the gold.

    Returns:
        For each `axis`, `label` (the one that is wrongly there or wrongly missing), `gold` and `predicted` (labels),
        `score` (probability of the label), `confidence` (that of the wrong decision: of a label that is missing, 1
        less its score), `id`, `article`, `text`, and `words`: the evidence of the label, or the span, each with
        `text`, `start`, `end`. A mention that was not found has no score, and stands in the confusion alone.
    """
    found = [
        error | {"id": gold.id, "article": gold.article, "text": gold.text}
        for axis in axes
        for gold, said in axis.annotated(pairs)
        for error in _errors(axis, gold, said)
    ]
    return sorted(found, key=lambda error: 1.0 if error["confidence"] is None else -error["confidence"])[:most]


def _errors(axis: ScoredAxis, gold: GoldSentence, said: Prediction) -> Iterator[dict[str, Any]]:
    def error(
        label: str, wanted: Sequence[str], found: Sequence[str], score: float, sure: float, spans: Sequence[Span]
    ) -> dict[str, Any]:
        return {
            "axis": axis.name,
            "label": label,
            "gold": list(wanted),
            "predicted": list(found),
            "score": _known(score),
            "confidence": _known(sure),
            "words": [{"text": s.of(gold.text), "start": s.start, "end": s.end} for s in spans],
        }

    if axis.form == SPANS:
        labels = {m.span: m.label for m in gold.mentions or ()}
        for mention in said.mentions:
            wanted = labels.get(mention.span)
            if wanted != mention.label:
                spans = [mention.span]
                yield error(
                    mention.label, [wanted] if wanted else [], [mention.label], mention.score, mention.score, spans
                )
    elif axis.form == TARGETS:
        for target, given in zip(gold.targets or (), said.targets, strict=True):
            if target.label != given.label:
                found = [] if given.label == NO_LABEL else [given.label]
                yield error(given.label, [target.label], found, given.score, given.score, [target.span])
    else:
        [(wanted_set, found_set)] = axis.rows(gold, said)
        wanted_labels, found_labels = ([x for x in axis.labels if x in side] for side in (wanted_set, found_set))
        items = {} if axis.derived else {item.label: item for item in said.labels[axis.name]}
        for label in axis.labels:
            if (label in wanted_set) == (label in found_set) or (axis.form == ONE and label not in found_set):
                continue
            item = items.get(label)
            score = item.score if item else said.scores.get(axis.name, {}).get(label, math.nan)
            if axis.derived:
                mentions = said.mentions if label in found_set else gold.mentions or ()
                spans = [m.span for m in mentions if m.label == label]
            else:
                spans = [part.span for part in item.evidence] if item else []
            yield error(label, wanted_labels, found_labels, score, score if label in found_set else 1 - score, spans)


def _known(score: float) -> float | None:
    return None if math.isnan(score) else rounded(score)
