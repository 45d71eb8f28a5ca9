"""Eight-bit linear layers: what is rounded how, so that the same sentence gets the same bits on every processor.

A layer's input x has one fixed scale and zero point, found on training sentences, and becomes unsigned 8-bit codes; its
weights become signed codes with one scale for each output. Before that, each input feature is divided by its entry of a
smoothing vector, and its weights are multiplied by it, so that features of large values leave codes for the others.

Source: Xiao et al. 2023, "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models".
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.outputs import Floats

# Weights take codes of -63 to 63. Processors without 8-bit dot products add two products of 8 bits in 16, which then
# never overflow (2 · 255 · 63 < 2**15): with wider codes those processors would give other scores than the others.
WEIGHT_LEVELS = 63
ACTIVATION_LEVELS = 255
# Share of an input's range that moves into the weights, from 0 to 1; chosen on development sentences.
SMOOTHING = 0.85


class InputCode(NamedTuple):
    """How the input of one or more layers becomes codes: `code = round(x / smooth / scale) + zero_point`.

    Attributes:
        smooth: Divisor of each input feature, shape (K,).
        scale: Step between two codes, shape ().
        zero_point: Code of 0, shape (), unsigned 8 bits.
    """

    smooth: Floats
    scale: Floats
    zero_point: NDArray[np.uint8]


def fit_input_code(low: Floats, high: Floats, weights: Floats, smoothing: float = SMOOTHING) -> InputCode:
    """Find the code of an input from what was seen of it.

    Args:
        low, high: Least and largest value of each input feature, shape (K,).
        weights: Of all layers that read this input, outputs first, shape (N, K).
    """
    reach = np.maximum(np.maximum(np.abs(low), np.abs(high)), 1e-3)
    smooth = reach**smoothing / np.maximum(np.abs(weights).max(axis=0), 1e-4) ** (1.0 - smoothing)
    smooth = (smooth / smooth.mean()).astype(np.float32)
    least = min(float((low / smooth).min()), 0.0)
    most = max(float((high / smooth).max()), 0.0)
    scale = max(most - least, 1e-6) / ACTIVATION_LEVELS
    return InputCode(smooth, np.array(scale, dtype=np.float32), np.array(round(-least / scale), dtype=np.uint8))


def quantise_weights(weights: Floats, smooth: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Round a layer's weights.

    Args:
        weights: Outputs first, shape (N, K).
        smooth: Of the layer's input, shape (K,).

    Returns:
        Codes, inputs first, shape (K, N), and each output's scale, shape (N,): `weights · smooth ≈ codes.T · scale`.
    """
    smoothed = weights * smooth
    scales = np.maximum(np.abs(smoothed).max(axis=1), 1e-12) / WEIGHT_LEVELS
    codes = np.clip(np.rint(smoothed / scales[:, None]), -WEIGHT_LEVELS, WEIGHT_LEVELS).astype(np.int8)
    return np.ascontiguousarray(codes.T), scales.astype(np.float32)


def flattened(codes: Mapping[str, InputCode]) -> dict[str, NDArray[Any]]:
    """Codes of inputs as tensors of one file."""
    return {f"{x}:{part}": np.atleast_1d(value) for x, code in codes.items() for part, value in code._asdict().items()}


def input_code(tensors: Mapping[str, NDArray[Any]], x: str) -> InputCode:
    """Undo `flattened` for one input."""
    smooth, scale, zero_point = (tensors[f"{x}:{part}"] for part in InputCode._fields)
    return InputCode(smooth, scale.reshape(()), zero_point.reshape(()))
