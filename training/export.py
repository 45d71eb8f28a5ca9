"""Export the network's graph once, without its weights, so that building an artifact needs no torch."""

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper
from safetensors.numpy import save
from torch import Tensor, nn

from model.artifact import DATA
from model.network import Network
from model.outputs import INPUT_NAMES, OUTPUT_NAMES, Floats
from model.quantisation import InputCode, fit_input_code, flattened
from model.weights import (
    ACTIVATIONS,
    AS_IT_IS,
    CODES,
    ENCODER_PREFIX,
    GRAPH,
    INPUT_SCALE,
    LAYOUT,
    SCALES,
    SHRINK,
    TRANSPOSED,
    ZERO_POINT,
)
from training.activations import Range
from training.quantised_graph import (
    find_layers,
    input_scale,
    quantise_graph,
    shrink,
    weight_scales,
    zero_point,
)

OPSET = 20
_ALIGNMENT = 64  # bytes: a line of the processor's cache


def network_weights(network: Network) -> dict[str, Floats]:
    """Every parameter of the network by its name, float32."""
    return {name: p.detach().numpy().astype(np.float32) for name, p in network.named_parameters()}


def export_graph(network: Network, folder: Path, ranges: Mapping[str, Range] | None = None) -> None:
    """Write graph.onnx, layout.json and, for a graph that computes in 8 bits, activations.safetensors.

    Weights of the graph are references into a file that `newsframe build` writes; the layout says what of which
    parameter stands at which offset of it, in the forms of `model.weights`.

    Args:
        ranges: What the encoder's linear layers are fed with, by the name of their weight; without it, all is in
            32 bits. The heads stay in 32 bits: they are small, and their outputs are the logits.
    """
    onnx_model = _trace(network.eval())
    graph = onnx_model.graph
    parameters = {name: tensor for name, tensor in network_weights(network).items() if tensor.size}
    found = {
        initializer.name: place
        for initializer in graph.initializer
        if initializer.data_type == TensorProto.FLOAT
        and (place := _find(numpy_helper.to_array(initializer), parameters))
    }
    unused = set(parameters) - {name for name, _ in found.values()}
    assert not unused, f"parameters that the graph does not use: {sorted(unused)}"
    codes, inputs = _quantise(onnx_model, found, parameters, ranges) if ranges else ({}, {})
    _write_layout(graph, found, parameters, codes, inputs, folder)
    (folder / GRAPH).write_bytes(onnx_model.SerializeToString(deterministic=True))
    (folder / ACTIVATIONS).write_bytes(save(flattened(codes)))


# Name of a constant of the graph -> the parameter that it is, and whether it stands transposed there.
_Found = Mapping[str, tuple[str, bool]]


def _quantise(
    onnx_model: onnx.ModelProto, found: _Found, parameters: Mapping[str, Floats], ranges: Mapping[str, Range]
) -> tuple[dict[str, InputCode], dict[str, str]]:
    """Rewrite the encoder's linear layers.

    Returns:
        The code of each of their inputs, and the input of each of their weights, by the names of the graph.
    """
    matrices = {
        constant
        for constant, (name, transposed) in found.items()
        if transposed and name in ranges and name.startswith(ENCODER_PREFIX)
    }
    layers = find_layers(onnx_model.graph, matrices)
    quantise_graph(onnx_model, layers)
    codes = {}
    for x, readers in layers.items():
        names = [found[layer.weight][0] for layer in readers]
        seen = ranges[names[0]]
        codes[x] = fit_input_code(seen.low, seen.high, np.concatenate([parameters[name] for name in names]))
    return codes, {layer.weight: x for x, readers in layers.items() for layer in readers}


def _write_layout(
    graph: onnx.GraphProto,
    found: _Found,
    parameters: Mapping[str, Floats],
    codes: Mapping[str, InputCode],
    inputs: Mapping[str, str],
    folder: Path,
) -> None:
    """Give every constant that is not the graph's own its place in the weights file."""
    entries: list[dict[str, object]] = []
    offset = 0

    def place(tensor: TensorProto, kind: int, shape: Sequence[int], **entry: object) -> None:
        nonlocal offset
        size = int(np.prod(shape)) * (4 if kind == TensorProto.FLOAT else 1)
        entries.append({**entry, "offset": offset})
        del tensor.dims[:]
        tensor.dims.extend(shape)
        tensor.data_type = kind
        _refer(tensor, offset, size)
        offset = -(-(offset + size) // _ALIGNMENT) * _ALIGNMENT

    for initializer in list(graph.initializer):
        if initializer.name not in found:
            continue  # a constant of the graph
        name, transposed = found[initializer.name]
        shape = parameters[name].shape[::-1] if transposed else parameters[name].shape
        if initializer.name not in inputs:
            place(initializer, TensorProto.FLOAT, shape, name=name, form=TRANSPOSED if transposed else AS_IT_IS)
            continue
        x = inputs[initializer.name]
        place(initializer, TensorProto.INT8, shape, name=name, form=CODES, input=x)
        scales = graph.initializer.add(name=weight_scales(initializer.name))
        place(scales, TensorProto.FLOAT, shape[1:], name=name, form=SCALES, input=x)
    for x, code in codes.items():
        place(graph.initializer.add(name=shrink(x)), TensorProto.FLOAT, code.smooth.shape, form=SHRINK, input=x)
        place(graph.initializer.add(name=input_scale(x)), TensorProto.FLOAT, (), form=INPUT_SCALE, input=x)
        place(graph.initializer.add(name=zero_point(x)), TensorProto.UINT8, (), form=ZERO_POINT, input=x)
    layout = {"size": offset, "tensors": entries}
    (folder / LAYOUT).write_text(json.dumps(layout, indent=1) + "\n", encoding="utf-8")


class _OfOneLength(nn.Module):
    """The network on sentences without padding: no mask, and nothing computed for one."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.network(input_ids)  # type: ignore[no-any-return]


def _trace(network: Network) -> onnx.ModelProto:
    ids = torch.randint(1000, 5000, (2, 9))
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    shape = {0: batch, 1: length}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            _OfOneLength(network),
            (ids,),
            dynamo=True,
            verbose=False,
            input_names=list(INPUT_NAMES),
            output_names=list(OUTPUT_NAMES),
            dynamic_shapes=(shape,),
            opset_version=OPSET,
        )
    assert program is not None
    model = program.model_proto
    # What the exporter notes of source lines would carry paths of the machine and triple the size.
    del model.metadata_props[:]
    for holder in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del holder.metadata_props[:]
        holder.doc_string = ""
    del model.graph.value_info[:]
    return model


def _find(values: Floats, weights: Mapping[str, Floats]) -> tuple[str, bool] | None:
    """Find the parameter that a constant of the graph is, as it stands or transposed."""
    for name, weight in weights.items():
        if weight.shape == values.shape and np.array_equal(weight, values):
            return name, False
    for name, weight in weights.items():
        if weight.T.shape == values.shape and np.array_equal(weight.T, values):
            return name, True
    return None


def _refer(initializer: TensorProto, offset: int, size: int) -> None:
    initializer.ClearField("raw_data")
    initializer.ClearField("float_data")
    initializer.data_location = TensorProto.EXTERNAL
    for key, value in {"location": DATA, "offset": offset, "length": size}.items():
        entry = initializer.external_data.add()
        entry.key, entry.value = key, str(value)
