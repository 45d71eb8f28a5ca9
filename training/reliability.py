"""Whether scores can be believed: calibration of single decisions, and risk against coverage of whole sentences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray

from model.predictions import Prediction
from training.scored_axes import MANY, NO_LABEL, ONE, SPANS, Pairs, ScoredAxis

BINS = 10
CONFIDENT = 0.9
CURVE_POINTS = 200


class CalibrationError(evaluate.Metric):  # type: ignore[misc]
    """How far probabilities stand from what came true: reliability bins, expected calibration error, Brier score.

    `predictions` are probabilities, `references` 1 where the thing was so and 0 where it was not. The bins are ten of
    equal width, [0, 0.1) to [0.9, 1]. The expected calibration error is the mean over the bins, weighted by their
    counts, of |share that was so - mean probability|; the Brier score the mean of (probability - reference)².

    Source: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning"; Brier 1950,
    "Verification of forecasts expressed in terms of probability".
    """

    def _info(self) -> evaluate.MetricInfo:
        features = datasets.Features({"predictions": datasets.Value("float64"), "references": datasets.Value("int8")})
        return evaluate.MetricInfo(
            description="Reliability bins, expected calibration error, Brier score",
            citation="",
            inputs_description=str(self.__doc__),
            features=features,
        )

    def _compute(self, predictions: Sequence[float], references: Sequence[int]) -> dict[str, Any]:
        said, true = np.asarray(predictions, dtype=np.float64), np.asarray(references, dtype=np.float64)
        place = np.minimum((said * BINS).astype(int), BINS - 1)
        counts = np.bincount(place, minlength=BINS)
        sums_said, sums_true = (np.bincount(place, weights=values, minlength=BINS) for values in (said, true))
        return {
            "ece": float(np.abs(sums_true - sums_said).sum() / len(said)),
            "brier": float(((said - true) ** 2).mean()),
            "bins": [
                {
                    "from": n / BINS,
                    "to": (n + 1) / BINS,
                    "count": int(count),
                    "mean_probability": float(sums_said[n] / count) if count else None,
                    "share_right": float(sums_true[n] / count) if count else None,
                }
                for n, count in enumerate(counts)
            ],
        }


@dataclass(frozen=True)
class Decisions:
    """The decisions of one axis that carry a probability.

    Attributes:
        probabilities: Shape (decisions,).
        right: Whether what has that probability was so, shape (decisions,).
        two_sided: Whether a low probability is a confident no, as with labels of which any number may hold.
    """

    probabilities: NDArray[np.float64]
    right: NDArray[np.bool_]
    two_sided: bool


def calibration(axis: ScoredAxis, pairs: Pairs) -> dict[str, Any] | None:
    """Measure calibration and abstention on one axis.

    Returns:
        `decisions` (their number), `ece`, `brier`, `bins` as `CalibrationError`; `confident`: the number of decisions
        of confidence 0.9 or more, and the share of them that is right; `risk_coverage`, see there. None where the
        axis is not annotated, or a prediction carries no scores.
    """
    pairs = axis.annotated(pairs)
    found = decisions(axis, pairs)
    if found is None or not len(found.probabilities):
        return None
    p, right = found.probabilities, found.right
    if found.two_sided:
        confidence, as_said = np.maximum(p, 1 - p), right == (p >= 0.5)
    else:
        confidence, as_said = p, right
    confident = confidence >= CONFIDENT
    measured = CalibrationError().compute(predictions=p.tolist(), references=right.astype(int).tolist())
    return {
        "decisions": len(p),
        **dict(measured),
        "confident": {
            "at_least": CONFIDENT,
            "count": int(confident.sum()),
            "share_right": float(as_said[confident].mean()) if confident.any() else None,
        },
        "risk_coverage": risk_coverage(
            [sentence_confidence(axis, said) for _, said in pairs],
            [axis.is_wrong(gold, said) for gold, said in pairs],
            [axis.source.name in said.abstained for _, said in pairs],
        ),
    }


def decisions(axis: ScoredAxis, pairs: Pairs) -> Decisions | None:
    """Collect the decisions of an axis with their probabilities; None where one has none.

    Any number of labels: the probability of each label, and whether gold holds it. One label: that of the chosen one.
    Spans: that of each predicted span, and whether gold has the span with the label. Targets: that of the label given
    to each gold target.
    """
    found: list[tuple[float, bool]] = []
    for gold, said in pairs:
        if axis.form == SPANS:
            wanted = {tuple(row) for row in axis.spans(gold.mentions or ())}
            rows = axis.spans(said.mentions)
            found += [(m.score, tuple(row) in wanted) for m, row in zip(said.mentions, rows, strict=True)]
        elif axis.form == MANY:
            [(held, _)] = axis.rows(gold, said)
            scores = said.scores.get(axis.name, {})
            found += [(scores.get(label, math.nan), label in held) for label in axis.labels]
        elif axis.form == ONE:
            found += [(item.score, item.label in gold.labels[axis.name]) for item in said.labels[axis.name]]
        else:
            targets = zip(gold.targets or (), said.targets, strict=True)
            found += [(t.score, t.label == wanted.label) for wanted, t in targets if t.label != NO_LABEL]
    probabilities = np.array([p for p, _ in found], dtype=np.float64)
    if np.isnan(probabilities).any():
        return None
    return Decisions(probabilities, np.array([right for _, right in found], dtype=bool), axis.form == MANY)


def sentence_confidence(axis: ScoredAxis, said: Prediction) -> float:
    """The probability of the least certain decision of a sentence, as far as the prediction reports it.

    Spans: of the predicted spans, and of the derived labels that no span gives. Targets: of every target and mention
    that was given a label.
    """
    if axis.form == SPANS:
        absent = [p for label, p in said.scores.get(str(axis.source.summary), {}).items() if label not in said.summary]
        return min([m.score for m in said.mentions] + [1 - p for p in absent], default=1.0)
    if axis.form == MANY:
        held = said.summary if axis.derived else [item.label for item in said.labels[axis.name]]
        return min(p if label in held else 1 - p for label, p in said.scores[axis.name].items())
    if axis.form == ONE:
        return min((item.score for item in said.labels[axis.name]), default=0.0)
    towards = [m.target.score for m in said.mentions if m.target and not math.isnan(m.target.score)]
    return min(towards + [0.0 if t.label == NO_LABEL else t.score for t in said.targets], default=1.0)


def risk_coverage(confidence: Sequence[float], wrong: Sequence[bool], abstained: Sequence[bool]) -> dict[str, Any]:
    """Trade coverage against risk: keep the most confident sentences, and count those with an error.

    Args:
        confidence: Of each sentence; those of equal confidence share their errors evenly.
        wrong: Whether anything on the axis is wrong.
        abstained: Whether the model says "not sure".

    Returns:
        `curve`: points of [coverage, risk], at most 200; `area` under it, the mean risk over all coverages;
        `abstained`: where the model's own "not sure" stands: coverage of what it keeps, the risk among kept and among
        abstained sentences (None where there are none).

    Source: Geifman and El-Yaniv 2017, "Selective Classification for Deep Neural Networks".
    """
    errors = np.asarray(wrong, dtype=np.float64)
    values = np.asarray(confidence, dtype=np.float64)
    _, block, sizes = np.unique(-values, return_inverse=True, return_counts=True)
    shared = np.bincount(block, weights=errors) / sizes  # (blocks,): mean error, most confident block first
    risk = np.cumsum(np.repeat(shared, sizes)) / np.arange(1, len(errors) + 1)  # (sentences,)
    ends = np.cumsum(sizes)
    ends = ends[np.unique(np.linspace(0, len(ends) - 1, CURVE_POINTS).astype(int))]
    away = np.asarray(abstained, dtype=bool)
    return {
        "curve": [[float(end / len(errors)), float(risk[end - 1])] for end in ends],
        "area": float(risk.mean()),
        "abstained": {
            "count": int(away.sum()),
            "coverage": float((~away).mean()),
            "risk_kept": float(errors[~away].mean()) if not away.all() else None,
            "risk_abstained": float(errors[away].mean()) if away.any() else None,
        },
    }
