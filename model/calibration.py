"""Calibration: scores that are probabilities, thresholds that decide, and a rule for "not sure"."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.outputs import Floats

Numbers = NDArray[np.float64]
AS_THE_WORD = (1.0, 0.0)  # slope and offset of a mention that is as certain as its least certain word


@dataclass(frozen=True)
class Calibration:
    """What turns logits into decisions; fitted on development articles, stored with the weights.

    Attributes:
        temperatures: For each axis, what its logits are divided by. Above 1 softens confidence.
        offsets: For each label of a sentence axis, what is added to its logit then; below 0, the network says the label
            too often.
        thresholds: For each label of a sentence axis, the probability from which it holds.
        abstain_below: For each axis, the probability under which its least certain decision counts as "not sure".
        mention_line: Slope and offset that make, of the logit of a mention's least certain word, that of the mention.
    """

    temperatures: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    abstain_below: Mapping[str, float] = field(default_factory=dict)
    mention_line: tuple[float, float] = AS_THE_WORD
    offsets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def temperature(self, axis: str) -> float:
        """Temperature of an axis, 1 where none was fitted."""
        return self.temperatures.get(axis, 1.0)

    def calibrated(self, axis: str, labels: Sequence[str], logits: Floats) -> Floats:
        """Logits whose sigmoid or softmax is a probability.

        Args:
            labels: Of the columns of `logits`, shape (N, K).
        """
        offsets = self.offsets.get(axis, {})
        moved = np.array([offsets.get(label, 0.0) for label in labels], dtype=np.float32)
        return np.asarray(logits / np.float32(self.temperature(axis)) + moved)

    def threshold(self, axis: str, label: str) -> float:
        """Threshold of a label, 0.5 where none was fitted."""
        return self.thresholds.get(axis, {}).get(label, 0.5)

    def mention_probability(self, word: float) -> float:
        """Probability that a mention is right, span and label, given that of its least certain word."""
        if self.mention_line == AS_THE_WORD:
            return word
        slope, offset = self.mention_line
        return 1.0 / (1.0 + math.exp(-(slope * logit(word) + offset)))

    def abstains(self, axis: str, confidence: float) -> bool:
        """Tell whether an axis whose least certain decision has this probability is "not sure"."""
        return confidence < self.abstain_below.get(axis, 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a manifest."""
        return {
            "temperatures": dict(self.temperatures),
            "thresholds": {axis: dict(labels) for axis, labels in self.thresholds.items()},
            "abstain_below": dict(self.abstain_below),
            "mention_line": list(self.mention_line),
            "offsets": {axis: dict(labels) for axis, labels in self.offsets.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Calibration":
        """Read what `to_dict` wrote."""
        slope, offset = data.get("mention_line", AS_THE_WORD)
        return cls(
            data["temperatures"], data["thresholds"], data["abstain_below"], (slope, offset), data.get("offsets", {})
        )


def logit(probability: float) -> float:
    """Inverse of the logistic function; what is all but certain is cut off at one in a million."""
    bounded = min(max(probability, 1e-6), 1.0 - 1e-6)
    return math.log(bounded / (1.0 - bounded))


def sigmoid(logits: Floats) -> Numbers:
    """Logistic function in double precision, without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64))))


def softmax(logits: Floats) -> Numbers:
    """Softmax over the last dimension in double precision."""
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
