"""How far annotators agree on the same sentences, an axis at a time."""

from collections import Counter
from collections.abc import Hashable, Sequence
from statistics import fmean

from model.codebook import Axis, Codebook
from model.records import GoldSentence

Pair = tuple[GoldSentence, GoldSentence]


def same_labels(left: GoldSentence, right: GoldSentence) -> bool:
    """Tell whether two annotations of a sentence say the same."""
    return _said(left) == _said(right)


def _said(gold: GoldSentence) -> tuple[object, ...]:
    spans = (None if found is None else frozenset(found) for found in (gold.mentions, gold.targets))
    return dict(gold.labels), *spans


def agreement(pairs: Sequence[Pair], codebook: Codebook) -> dict[str, dict[str, float]]:
    """Measure agreement over pairs of annotations of one sentence each.

    Returns:
        For each axis that both sides annotated somewhere: on a mention axis `span F1` (exact) and `labelled span F1`;
        on a sentence axis `label F1`, over all (sentence, label), and `kappa`; on a target axis the same, kappa over
        the spans that both chose. F1 counts either side as gold with the same result, and is 1 where neither said
        anything. Kappa is left out where chance alone would agree fully; with several labels a sentence, it is the
        mean over the labels.

    Source: Cohen 1960, "A coefficient of agreement for nominal scales".
    """
    measured = {}
    for axis in codebook.axes:
        found = {"mention": _mention_axis, "target": _target_axis}.get(axis.kind, _sentence_axis)(pairs, axis)
        if found:
            measured[axis.name] = found
    return measured


def _mention_axis(pairs: Sequence[Pair], axis: Axis) -> dict[str, float]:
    both = [(a.mentions, b.mentions) for a, b in pairs if a.mentions is not None and b.mentions is not None]
    if not both:
        return {}
    return {
        "span F1": f1([({m.span for m in a}, {m.span for m in b}) for a, b in both]),
        "labelled span F1": f1([(set(a), set(b)) for a, b in both]),
    }


def _target_axis(pairs: Sequence[Pair], axis: Axis) -> dict[str, float]:
    both = [(a.targets, b.targets) for a, b in pairs if a.targets is not None and b.targets is not None]
    if not both:
        return {}
    left, right = [], []
    for a, b in both:
        in_b = {t.span: t.label for t in b}
        shared = [t for t in a if t.span in in_b]
        left += [t.label for t in shared]
        right += [in_b[t.span] for t in shared]
    return {"label F1": f1([(set(a), set(b)) for a, b in both])} | _kappas([(left, right)])


def _sentence_axis(pairs: Sequence[Pair], axis: Axis) -> dict[str, float]:
    both = [
        (a.labels[axis.name], b.labels[axis.name]) for a, b in pairs if axis.name in a.labels and axis.name in b.labels
    ]
    if not both:
        return {}
    columns: list[tuple[Sequence[Hashable], Sequence[Hashable]]] = [
        ([label in a for a, _ in both], [label in b for _, b in both]) for label in axis.label_names
    ]
    if axis.exclusive:
        columns = [([a for a, _ in both], [b for _, b in both])]
    return {"label F1": f1([(a, b) for a, b in both])} | _kappas(columns)


def f1(rows: Sequence[tuple[frozenset[str] | set[object], frozenset[str] | set[object]]]) -> float:
    """Twice what both sides have, over all that either has; 1 if there is nothing."""
    total = sum(len(a) + len(b) for a, b in rows)
    return 2 * sum(len(set(a) & set(b)) for a, b in rows) / total if total else 1.0


def _kappas(columns: Sequence[tuple[Sequence[Hashable], Sequence[Hashable]]]) -> dict[str, float]:
    values = [value for left, right in columns if (value := kappa(left, right)) is not None]
    return {"kappa": fmean(values)} if values else {}


def kappa(left: Sequence[Hashable], right: Sequence[Hashable]) -> float | None:
    """Cohen's kappa of two annotators' labels of the same items; None where chance alone would agree fully."""
    if not left:
        return None
    n = len(left)
    observed = sum(a == b for a, b in zip(left, right, strict=True)) / n
    counts, others = Counter(left), Counter(right)
    expected = sum(counts[label] * others[label] for label in counts) / n**2
    return (observed - expected) / (1 - expected) if expected < 1 else None
