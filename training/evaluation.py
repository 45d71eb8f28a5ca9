"""Score predictions against gold under a codebook."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from model.codebook import Codebook
from model.predictions import Prediction
from model.records import GoldSentence, Sentence
from training.metrics import LabelF1, SpanF1
from training.scored_axes import SPANS, TARGETS, Pairs, ScoredAxis, scored_axes

Predictor = Callable[[Sequence[Sentence]], list[Prediction]]


def to_sentences(gold: Sequence[GoldSentence]) -> list[Sentence]:
    """Gold sentences as input, the gold targets asked for by their spans."""
    return [Sentence(s.id, s.text, tuple((t.span.of(s.text), t.span) for t in s.targets or ())) for s in gold]


def evaluate_predictor(gold: Sequence[GoldSentence], predict: Predictor, codebook: Codebook) -> dict[str, Any]:
    """Run a predictor over gold sentences and score it; see `evaluate_predictions`."""
    return evaluate_predictions(gold, predict(to_sentences(gold)), codebook)


def evaluate_predictions(
    gold: Sequence[GoldSentence], predictions: Sequence[Prediction], codebook: Codebook
) -> dict[str, Any]:
    """Score predictions, axis by axis.

    Args:
        predictions: One for each gold sentence, with the gold targets as targets, in order.

    Returns:
        `sentences`, `articles`, and for each axis its metrics, its number of annotated sentences and how many
        of them the model was not sure of. An axis without gold is left out.
    """
    return evaluate_axes(list(zip(gold, predictions, strict=True)), scored_axes(codebook))


def evaluate_axes(pairs: Pairs, axes: Sequence[ScoredAxis]) -> dict[str, Any]:
    """Score some of the axes; see `evaluate_predictions`."""
    results: dict[str, Any] = {"sentences": len(pairs), "articles": len({gold.article for gold, _ in pairs})}
    for axis in axes:
        if annotated := axis.annotated(pairs):
            results[axis.name] = {
                **(_span_metrics(axis, annotated) if axis.form == SPANS else _label_metrics(axis, annotated)),
                "annotated": len(annotated),
                "abstained": sum(axis.source.name in said.abstained for _, said in annotated),
            }
    return results


def headline(results: Mapping[str, Any]) -> dict[str, float]:
    """The one number of each axis: macro-F1, or exact span F1."""
    return {
        axis: round(metrics.get("macro_f1", metrics.get("span_f1")), 4)
        for axis, metrics in results.items()
        if isinstance(metrics, Mapping)
    }


def _span_metrics(axis: ScoredAxis, pairs: Pairs) -> dict[str, Any]:
    result = SpanF1().compute(
        predictions=[axis.spans(said.mentions) for _, said in pairs],
        references=[axis.spans(gold.mentions or ()) for gold, _ in pairs],
    )
    return dict(result)


def _label_metrics(axis: ScoredAxis, pairs: Pairs) -> dict[str, Any]:
    rows = [row for gold, said in pairs for row in axis.rows(gold, said)]
    result = LabelF1().compute(
        references=[[int(label in wanted) for label in axis.labels] for wanted, _ in rows],
        predictions=[[int(label in found) for label in axis.labels] for _, found in rows],
        labels=list(axis.labels),
        exclusive=axis.single,
    )
    metrics = dict(result)
    if axis.form == TARGETS:
        metrics |= {"targets": len(rows), "unlabelled": sum(not found for _, found in rows)}
    return metrics


def lookup(results: Mapping[str, Any], path: str) -> float:
    """Find a number by its dotted path, such as `axis.macro_f1` or `axis.labels.name.f1`.

    Raises:
        KeyError: There is no such number; the message lists what is there.
    """
    value: Any = results
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            there = sorted(value) if isinstance(value, Mapping) else []
            raise KeyError(f"expected a metric, but found no {part!r} in {path!r}; there are {there}")
        value = value[part]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise KeyError(f"expected a number, but {path!r} holds {value!r:.60}")
    return float(value)
