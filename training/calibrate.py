"""Fit the calibration on development sentences: temperatures, offsets, thresholds, the abstention rule."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from model.calibration import AS_THE_WORD, Calibration, logit, sigmoid, softmax
from model.codebook import Codebook
from model.decoding import Decoder, Tokens
from model.outputs import Floats, SentenceOutputs
from model.records import GoldSentence
from model.spans import covered_tokens
from model.tags import encode_tags
from training.reliability import decisions
from training.scored_axes import SPANS, scored_axes

# Thresholds stay near one half: development data is small, and a far one would be luck.
_THRESHOLDS = np.round(np.arange(0.30, 0.701, 0.02), 2)


# Four digits are kept: go on until they hold.
_EXACT = {"gtol": 1e-9, "ftol": 1e-14}

_Row = tuple[GoldSentence, Tokens, SentenceOutputs]


class EmptyCalibrationSet(ValueError):
    """There is nothing to fit on."""


def fit_calibration(
    gold: Sequence[GoldSentence],
    tokens: Sequence[Tokens],
    outputs: Sequence[SentenceOutputs],
    codebook: Codebook,
    abstain_below: float,
) -> Calibration:
    """Fit temperatures, offsets and thresholds on development sentences.

    Args:
        tokens, outputs: Of each gold sentence, in order.
        abstain_below: Probability of its least certain decision under which an axis is "not sure".

    Returns:
        The calibration; an axis without development gold keeps temperature 1, offsets 0 and thresholds 0.5.
    """
    rows = list(zip(gold, tokens, outputs, strict=True))
    temperatures: dict[str, float] = {}
    thresholds: dict[str, Mapping[str, float]] = {}
    offsets: dict[str, Mapping[str, float]] = {}
    mention_line = AS_THE_WORD
    if axis := codebook.mention_axis:
        logits, wanted = [], []
        for sentence, tok, out in rows:
            if sentence.mentions is not None:
                tags = encode_tags(sentence.mentions, tok.spans, axis.label_names)
                # A word is decided by its first token.
                kept = [n for n, word in enumerate(tok.words) if word is not None and word != tok.words[n - 1]]
                logits.append(out.tag_logits[kept])
                wanted.append(np.array([tags[n] for n in kept]))
        if logits:
            temperatures[axis.name] = fit_temperature(np.concatenate(logits), np.concatenate(wanted))
            mention_line = _fit_mentions(rows, Decoder(codebook, Calibration(temperatures)))
    if axis := codebook.target_axis:
        logits, wanted = [], []
        for sentence, tok, out in rows:
            for target in sentence.targets or ():
                covered = covered_tokens(tok.spans, target.span)
                if covered:
                    logits.append(out.target_logits[covered].mean(axis=0, keepdims=True))
                    wanted.append(np.array([axis.label_names.index(target.label)]))
        if logits:
            temperatures[axis.name] = fit_temperature(np.concatenate(logits), np.concatenate(wanted))
    for axis, columns in codebook.sentence_columns:
        held = [(s.labels[axis.name], o.sentence_logits[columns]) for s, _, o in rows if axis.name in s.labels]
        if not held:
            continue
        matrix = np.stack([logits for _, logits in held])  # (N, K)
        truth = np.array([[label in labels for label in axis.label_names] for labels, _ in held])  # (N, K)
        if axis.exclusive:
            temperatures[axis.name] = fit_temperature(matrix, truth.argmax(axis=1))
            continue
        temperatures[axis.name], offsets[axis.name] = fit_labels(matrix, truth, axis.label_names)
        fitted = Calibration(temperatures, offsets=offsets)
        probabilities = sigmoid(fitted.calibrated(axis.name, axis.label_names, matrix))
        thresholds[axis.name] = {
            label: fit_threshold(probabilities[:, n], truth[:, n]) for n, label in enumerate(axis.label_names)
        }
    abstain = {axis.name: abstain_below for axis in codebook.axes}
    return Calibration(temperatures, thresholds, abstain, mention_line, offsets)


def _fit_mentions(rows: Sequence[_Row], decoder: Decoder) -> tuple[float, float]:
    """The line from a mention's least certain word to the mention."""
    gold, tokens, outputs = zip(*rows, strict=True)
    predictions = decoder.decode_batch(outputs, tokens, [()] * len(rows))
    [axis] = [axis for axis in scored_axes(decoder.codebook) if axis.form == SPANS]
    found = decisions(axis, axis.annotated(list(zip(gold, predictions, strict=True))))
    return fit_line(found.probabilities.tolist(), found.right.tolist()) if found else AS_THE_WORD


def fit_line(probabilities: Sequence[float], right: Sequence[bool]) -> tuple[float, float]:
    """Find the line on logits that makes probabilities of them that hold.

    Args:
        probabilities: Of each decision.
        right: Whether it was.

    Returns:
        Slope and offset; those that change nothing where decisions are all right, all wrong, or none, or where the
        more probable ones are not more often right.

    Source: Platt 1999, "Probabilistic Outputs for Support Vector Machines", with its targets, which keep few decisions
    from making the line endlessly sure.
    """
    if all(right) or not any(right):
        return AS_THE_WORD
    logits = np.array([[logit(p)] for p in probabilities])
    slope, [offset] = _fit_slope(logits, np.array(right)[:, None])
    return (round(slope, 4), round(offset, 4)) if slope > 0 else AS_THE_WORD


def fit_temperature(logits: Floats, gold: NDArray[np.intp]) -> float:
    """Find the temperature that minimises negative log-likelihood.

    Args:
        logits: Raw scores, shape (items, labels), not softmaxed.
        gold: Label indices, shape (items,), in codebook order.

    Returns:
        Temperature, dimensionless, between 0.2 and 5. Above 1 softens confidence.

    Raises:
        EmptyCalibrationSet: There are no items.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks".
    """
    if not len(gold):
        raise EmptyCalibrationSet("expected at least one item to fit a temperature on, but found none")

    def loss(log_temperature: float) -> float:
        probabilities = softmax(logits / np.float32(np.exp(log_temperature)))
        return float(-np.log(probabilities[np.arange(len(gold)), gold] + 1e-12).mean())

    found = minimize_scalar(loss, bounds=(np.log(0.2), np.log(5.0)), method="bounded")
    return round(float(np.exp(found.x)), 4)


def fit_labels(logits: Floats, gold: NDArray[np.bool_], labels: Sequence[str]) -> tuple[float, dict[str, float]]:
    """Find the temperature of an axis of any number of labels, and the offset of each label.

    Rare labels weigh more in training, and examples may hold other shares of a label than texts do: a temperature alone
    would leave such a label too probable in every sentence.

    Args:
        logits: Raw scores, shape (sentences, labels).
        gold: Whether each label holds, of the same shape.
        labels: Names of the columns.

    Returns:
        Temperature, between 0.2 and 5, and offsets, between -5 and 5, of the logits divided by it.

    Source: Platt 1999, as in `fit_line`, with one slope for all labels.
    """
    bounds = [(1 / 5.0, 1 / 0.2), *[(-5.0, 5.0)] * len(labels)]
    slope, offsets = _fit_slope(logits.astype(np.float64), gold, bounds)
    return round(1.0 / slope, 4), {label: round(offset, 4) for label, offset in zip(labels, offsets, strict=True)}


def _fit_slope(
    logits: NDArray[np.float64], right: NDArray[np.bool_], bounds: Sequence[tuple[float, float]] | None = None
) -> tuple[float, list[float]]:
    """Find one slope and an offset for each column that make probabilities of logits.

    Args:
        logits: Shape (N, K).
        right: What came true, of the same shape.
        bounds: Of the slope and of each offset, if they have any.
    """
    positives = right.sum(axis=0)
    targets = np.where(right, (positives + 1) / (positives + 2), 1 / (len(right) - positives + 2))

    def loss(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Negative log-likelihood, and its gradient."""
        scaled = line[0] * logits + line[1:]
        off = (sigmoid(scaled) - targets) / targets.size
        gradient = np.array([(off * logits).sum(), *off.sum(axis=0)])
        return float((np.logaddexp(0.0, scaled) - targets * scaled).mean()), gradient

    start = np.array([1.0, *[0.0] * logits.shape[1]])
    slope, *offsets = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=_EXACT).x
    return float(slope), [float(offset) for offset in offsets]


def fit_threshold(probabilities: NDArray[np.float64], gold: NDArray[np.bool_]) -> float:
    """Find the threshold of best F1, nearest to one half among equals; one half without positives."""
    if not gold.any():
        return 0.5

    def f1(threshold: float) -> float:
        said = probabilities >= threshold
        return float(2 * (said & gold).sum() / max(1, said.sum() + gold.sum()))

    best = max(f1(t) for t in _THRESHOLDS)
    # Among thresholds that are as good, within half a point, the one nearest to one half.
    return float(min((t for t in _THRESHOLDS if f1(t) >= best - 0.005), key=lambda t: abs(t - 0.5)))
