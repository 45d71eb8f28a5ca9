"""Score predictions against gold under a codebook."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from model.codebook import Axis, Codebook
from model.predictions import Prediction
from model.records import GoldSentence, Sentence
from training.metrics import LabelF1, SpanF1

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
    results: dict[str, Any] = {"sentences": len(gold), "articles": len({s.article for s in gold})}
    pairs = list(zip(gold, predictions, strict=True))
    for axis in codebook.axes:
        scorer = {"mention": _mentions, "sentence": _labels, "target": _targets}[axis.kind]
        for name, metrics in scorer(axis, pairs).items():
            if metrics["annotated"]:
                results[name] = metrics
    return results


def headline(results: Mapping[str, Any]) -> dict[str, float]:
    """The one number of each axis: macro-F1, or exact span F1."""
    return {
        axis: round(metrics.get("macro_f1", metrics.get("span_f1")), 4)
        for axis, metrics in results.items()
        if isinstance(metrics, Mapping)
    }


Pairs = list[tuple[GoldSentence, Prediction]]


def _mentions(axis: Axis, pairs: Pairs) -> dict[str, dict[str, Any]]:
    labels, summary_labels = axis.label_names, axis.summary_labels
    pairs = [(gold, said) for gold, said in pairs if gold.mentions is not None]
    scores = SpanF1().compute(
        predictions=[[[*m.span, labels.index(m.label)] for m in said.mentions] for _, said in pairs],
        references=[[[*m.span, labels.index(m.label)] for m in gold.mentions or ()] for gold, _ in pairs],
    )
    results = {axis.name: {**scores, **_coverage(axis, pairs)}}
    if axis.summary:
        rows = [
            (_row({m.label for m in g.mentions or ()}, summary_labels), _row(p.summary, summary_labels))
            for g, p in pairs
        ]
        results[axis.summary] = {**_label_f1(rows, summary_labels), **_coverage(axis, pairs)}
    return results


def _labels(axis: Axis, pairs: Pairs) -> dict[str, dict[str, Any]]:
    labels = axis.label_names
    pairs = [(gold, said) for gold, said in pairs if axis.name in gold.labels]
    rows = [(_row(g.labels[axis.name], labels), _row([s.label for s in p.labels[axis.name]], labels)) for g, p in pairs]
    return {axis.name: {**_label_f1(rows, labels), **_coverage(axis, pairs)}}


def _targets(axis: Axis, pairs: Pairs) -> dict[str, dict[str, Any]]:
    labels = axis.label_names
    pairs = [(gold, said) for gold, said in pairs if gold.targets]
    rows = [
        (_row([wanted.label], labels), _row([found.label], labels))
        for gold, said in pairs
        for wanted, found in zip(gold.targets or (), said.targets, strict=True)
    ]
    return {axis.name: {**_label_f1(rows, labels), "targets": len(rows), **_coverage(axis, pairs)}}


def _label_f1(rows: Sequence[tuple[list[int], list[int]]], labels: Sequence[str]) -> dict[str, Any]:
    if not rows:
        return {}
    result = LabelF1().compute(references=[r[0] for r in rows], predictions=[r[1] for r in rows], labels=list(labels))
    assert result is not None
    return dict(result)


def _row(held: Sequence[str] | set[str] | frozenset[str], labels: Sequence[str]) -> list[int]:
    return [int(label in held) for label in labels]


def _coverage(axis: Axis, pairs: Pairs) -> dict[str, Any]:
    return {"annotated": len(pairs), "abstained": sum(axis.name in said.abstained for _, said in pairs)}


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
