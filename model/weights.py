"""Trained weights in a small form: the change against the base encoder, packed to a few bits, and the heads.

A release is a folder:

    manifest.json       codebook, data, configuration, metrics, calibration, and the hash of every other file
    delta.safetensors   the packed change and the heads
    graph.onnx          the network's graph without its weights, exported once by training
    layout.json         what of which weight goes where in the artifact's weights file
    activations.safetensors  how the inputs of 8-bit layers become codes; empty where all is in 32 bits
    codebook.yaml       the codebook it was trained on
    names.yaml          the names that are hidden from the network; missing where none are

Packing: a matrix's change is cut into groups along its rows; each group has one scale and a code of `bits` bits a
value, `value = (code - (2**bits - 1) / 2) * scale`. At one bit this is BitDelta (Liu et al. 2024).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from model.calibration import Calibration
from model.codebook import Codebook, load_codebook
from model.encoder_files import EncoderSpec, sha256_of
from model.errors import WeightsError
from model.names import NameList
from model.outputs import Floats

MANIFEST, DELTA, GRAPH, LAYOUT, ACTIVATIONS, CODEBOOK, NAMES = (
    "manifest.json",
    "delta.safetensors",
    "graph.onnx",
    "layout.json",
    "activations.safetensors",
    "codebook.yaml",
    "names.yaml",
)
FORMAT = 2
# Forms of a tensor in the weights file, as the layout names them: of a parameter itself; of a parameter in 8 bits
# (`quantise_weights`); of the input of such a parameter (`InputCode`).
AS_IT_IS, TRANSPOSED = "as it is", "transposed"
CODES, SCALES = "codes", "scales"
SHRINK, INPUT_SCALE, ZERO_POINT = "shrink", "input scale", "zero point"
_ENTRIES = {"name", "version", "encoder", "packing", "config", "calibration", "files"}
RELEASE = Path(__file__).resolve().parent / "release"

# Network parameters of the base encoder start with this; all others are heads.
ENCODER_PREFIX = "encoder."
# Scales tried for each group, as shares of the one that reaches the largest value.
_SCALE_SHARES = np.linspace(0.5, 1.0, 11, dtype=np.float32)


@dataclass(frozen=True)
class Release:
    """A checked release of trained weights."""

    folder: Path
    manifest: Mapping[str, Any]
    codebook: Codebook

    @property
    def encoder(self) -> EncoderSpec:
        """The base encoder that the change applies to."""
        spec = self.manifest["encoder"]
        return EncoderSpec(spec["name"], spec["sha256"], tuple(spec["packages"]))

    @property
    def calibration(self) -> Calibration:
        """Temperatures, thresholds and the abstention rule."""
        return Calibration.from_dict(self.manifest["calibration"])

    def load_names(self) -> NameList | None:
        """The names that are hidden from the network, or None; a long list takes a quarter of a second."""
        return NameList(self.folder / NAMES) if NAMES in self.manifest["files"] else None


def codebook_file(folder: Path | None) -> Path:
    """The codebook that trained weights or an artifact carry; of the shipped weights where none are named."""
    return (folder or RELEASE) / CODEBOOK


def load_release(folder: Path) -> Release:
    """Read a release and check every file against the manifest.

    Raises:
        WeightsError: A file is missing, altered, or of another format.
    """
    path = folder / MANIFEST
    remedy = "Restore the folder, or train with `newsframe train`"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise WeightsError(f"{folder}: expected trained weights, but found no {MANIFEST}. {remedy}.") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise WeightsError(f"{path}: expected a manifest in JSON, but found other content. {remedy}.") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else manifest
        raise WeightsError(f"{path}: expected format {FORMAT}, but found {found!r:.40}. {remedy}.")
    missing = sorted(_ENTRIES - set(manifest)) or sorted(
        {DELTA, GRAPH, LAYOUT, ACTIVATIONS, CODEBOOK} - set(manifest["files"])
    )
    if missing:
        raise WeightsError(f"{path}: expected entries for {missing}, but found none. {remedy}.")
    for name, expected in manifest["files"].items():
        file = folder / name
        found = sha256_of(file) if file.is_file() else None
        if found != expected:
            shown = f"{found[:12]}…" if found else "no such file"
            raise WeightsError(f"{file}: expected sha256 {expected[:12]}…, but found {shown}. {remedy}.")
    return Release(folder, manifest, load_codebook(folder / CODEBOOK))


def unpack_weights(release: Release, encoder_folder: Path) -> dict[str, Floats]:
    """Join a release with the base encoder.

    Args:
        encoder_folder: Folder of the base encoder, as `find_encoder` gives it.

    Returns:
        Every parameter of the network by its name, float32.
    """
    base = load_file(encoder_folder / "model.safetensors")
    try:
        packed = load_file(release.folder / DELTA)
    except SafetensorError as error:
        raise WeightsError(f"{release.folder / DELTA}: expected safetensors, but found: {error}.") from None
    return join(base, packed, int(release.manifest["packing"]["bits"]))


def join(base: Mapping[str, Floats], packed: Mapping[str, NDArray[Any]], bits: int) -> dict[str, Floats]:
    """Add a packed change to the base encoder's tensors; heads stand in the packed form whole."""
    weights = {ENCODER_PREFIX + name: tensor.astype(np.float32) for name, tensor in base.items()}
    for key, tensor in packed.items():
        name, _, kind = key.rpartition(":")
        if kind == "whole":
            weights[name] = tensor.astype(np.float32)
        elif kind == "change":
            weights[name] = weights[name] + tensor.astype(np.float32)
        elif kind == "codes":
            change = unpack_codes(tensor, packed[f"{name}:scales"], weights[name].shape, bits)
            weights[name] = weights[name] + change
    return weights


def split(base: Mapping[str, Floats], weights: Mapping[str, Floats], bits: int, group: int) -> dict[str, NDArray[Any]]:
    """Pack trained weights as their change against the base encoder; the inverse of `join` but for rounding.

    Args:
        weights: Every parameter of the network by its name.
        bits: 1, 2, 4 or 8 a value of a matrix; vectors and heads are kept as 16-bit floats.
        group: Values that share a scale; must divide the rows' length.
    """
    packed: dict[str, NDArray[Any]] = {}
    for name, tensor in weights.items():
        base_name = name.removeprefix(ENCODER_PREFIX)
        if not name.startswith(ENCODER_PREFIX) or base_name not in base:
            packed[f"{name}:whole"] = tensor.astype(np.float16)
            continue
        change = tensor.astype(np.float32) - base[base_name].astype(np.float32)
        if not change.any():
            continue
        if change.ndim == 2 and change.shape[1] % group == 0:
            codes, scales = pack_codes(change, bits, group)
            packed[f"{name}:codes"], packed[f"{name}:scales"] = codes, scales
        else:
            packed[f"{name}:change"] = change.astype(np.float16)
    return packed


def pack_codes(change: Floats, bits: int, group: int) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    """Quantise a matrix group by group, with the scale of least squared error among a few.

    Returns:
        Codes, `8 // bits` to a byte, shape (values * bits / 8,), and scales, shape (values / group,).
    """
    groups = change.reshape(-1, group)
    middle = (2**bits - 1) / 2
    largest = np.abs(groups).max(axis=1, keepdims=True) / max(middle, 0.5)
    best_error = np.full((len(groups), 1), np.inf, dtype=np.float32)
    best_scale = np.zeros_like(best_error)
    # One bit has no use for the extremes: half the mean magnitude is its optimum.
    shares = _SCALE_SHARES if bits > 1 else np.array([1.0], dtype=np.float32)
    if bits == 1:
        largest = 2 * np.abs(groups).mean(axis=1, keepdims=True)
    for share in shares:
        scale = (largest * share).astype(np.float16).astype(np.float32)
        error = ((_values(_codes(groups, scale, bits), scale, bits) - groups) ** 2).sum(axis=1, keepdims=True)
        better = error < best_error
        best_error, best_scale = np.where(better, error, best_error), np.where(better, scale, best_scale)
    codes = _codes(groups, best_scale, bits).reshape(-1, 8 // bits)
    shifts = np.arange(8 // bits, dtype=np.uint8) * bits
    packed = np.bitwise_or.reduce(codes << shifts, axis=1).astype(np.uint8)
    return packed, best_scale.astype(np.float16).ravel()


def unpack_codes(codes: NDArray[np.uint8], scales: NDArray[np.float16], shape: tuple[int, ...], bits: int) -> Floats:
    """Undo `pack_codes`; returns the matrix of the given shape, float32."""
    shifts = np.arange(8 // bits, dtype=np.uint8) * bits
    values = (codes[:, None] >> shifts) & np.uint8(2**bits - 1)
    groups = values.reshape(len(scales), -1)
    return _values(groups, scales.astype(np.float32)[:, None], bits).reshape(shape)


def _codes(groups: Floats, scale: Floats, bits: int) -> NDArray[np.uint8]:
    middle = (2**bits - 1) / 2
    steps = np.divide(groups, scale, out=np.zeros_like(groups), where=scale > 0)
    return np.clip(np.rint(steps + np.float32(middle)), 0, 2**bits - 1).astype(np.uint8)


def _values(codes: NDArray[np.uint8], scale: Floats, bits: int) -> Floats:
    middle = np.float32((2**bits - 1) / 2)
    return (codes.astype(np.float32) - middle) * scale
