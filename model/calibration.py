"""Calibration: scores that are probabilities, thresholds that decide, and a rule for "not sure"."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.outputs import Floats

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """What turns logits into decisions; fitted on development articles, stored with the weights.

    Attributes:
        temperatures: For each axis, what its logits are divided by. Above 1 softens confidence.
        thresholds: For each label of a sentence axis, the probability from which it holds.
        abstain_below: For each axis, the probability under which its least certain decision counts as "not sure".
    """

    temperatures: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    abstain_below: Mapping[str, float] = field(default_factory=dict)

    def temperature(self, axis: str) -> float:
        """Temperature of an axis, 1 where none was fitted."""
        return self.temperatures.get(axis, 1.0)

    def threshold(self, axis: str, label: str) -> float:
        """Threshold of a label, 0.5 where none was fitted."""
        return self.thresholds.get(axis, {}).get(label, 0.5)

    def abstains(self, axis: str, confidence: float) -> bool:
        """Tell whether an axis whose least certain decision has this probability is "not sure"."""
        return confidence < self.abstain_below.get(axis, 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a manifest."""
        return {
            "temperatures": dict(self.temperatures),
            "thresholds": {axis: dict(labels) for axis, labels in self.thresholds.items()},
            "abstain_below": dict(self.abstain_below),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Calibration":
        """Read what `to_dict` wrote."""
        return cls(data["temperatures"], data["thresholds"], data["abstain_below"])


def sigmoid(logits: Floats) -> Numbers:
    """Logistic function in double precision, without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64))))


def softmax(logits: Floats) -> Numbers:
    """Softmax over the last dimension in double precision."""
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
