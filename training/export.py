"""Export the network's graph once, without its weights, so that building an artifact needs no torch."""

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper

from model.artifact import DATA
from model.network import Network
from model.outputs import INPUT_NAMES, OUTPUT_NAMES, Floats
from model.weights import GRAPH, LAYOUT

OPSET = 20
_ALIGNMENT = 64


def network_weights(network: Network) -> dict[str, Floats]:
    """Every parameter of the network by its name, float32."""
    return {name: p.detach().numpy().astype(np.float32) for name, p in network.named_parameters()}


def export_graph(network: Network, folder: Path) -> None:
    """Write graph.onnx and layout.json.

    Weights of the graph are references into a file that `newsframe build` writes; the layout says which
    parameter, transposed or not, stands at which offset of it.
    """
    onnx_model = _trace(network.eval())
    weights = {name: tensor for name, tensor in network_weights(network).items() if tensor.size}
    entries, offset = [], 0
    for initializer in onnx_model.graph.initializer:
        if initializer.data_type != TensorProto.FLOAT:
            continue
        found = _find(numpy_helper.to_array(initializer), weights)
        if found is None:
            continue  # a constant of the graph
        name, transposed = found
        size = weights[name].size * 4
        entries.append({"name": name, "transposed": transposed, "offset": offset})
        _refer(initializer, offset, size)
        offset = -(-(offset + size) // _ALIGNMENT) * _ALIGNMENT
    unused = set(weights) - {entry["name"] for entry in entries}
    assert not unused, f"parameters that the graph does not use: {sorted(unused)}"
    (folder / GRAPH).write_bytes(onnx_model.SerializeToString(deterministic=True))
    layout = {"size": offset, "tensors": entries}
    (folder / LAYOUT).write_text(json.dumps(layout, indent=1) + "\n", encoding="utf-8")


def _trace(network: Network) -> onnx.ModelProto:
    ids = torch.randint(1000, 5000, (2, 9))
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    shape = {0: batch, 1: length}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            network,
            (ids, torch.ones_like(ids)),
            dynamo=True,
            verbose=False,
            input_names=list(INPUT_NAMES),
            output_names=list(OUTPUT_NAMES),
            dynamic_shapes=(shape, shape),
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
