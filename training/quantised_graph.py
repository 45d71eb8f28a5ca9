"""Rewrite an exported graph so that its linear layers compute in 8 bits; see `model.quantisation`."""

from collections.abc import Mapping
from dataclasses import dataclass

import onnx
from onnx import helper

# An operator of ONNX Runtime: the product of codes, scaled and with the bias added in one go.
_DOMAIN, _OPERATOR = "com.microsoft", "MatMulIntegerToFloat"


@dataclass(frozen=True)
class Layer:
    """A linear layer of the graph.

    Attributes:
        weight: Name of the graph's constant, inputs first.
        bias: Name of the constant that is added, or empty.
        product, addition: Its nodes; no addition where there is no bias.
    """

    weight: str
    bias: str
    product: onnx.NodeProto
    addition: onnx.NodeProto | None

    @property
    def output(self) -> str:
        """Name of what the layer gives."""
        return str((self.addition or self.product).output[0])


def find_layers(graph: onnx.GraphProto, weights: set[str]) -> dict[str, list[Layer]]:
    """Find the products with a weight, by the input that they read.

    Args:
        weights: Names of the graph's constants that are matrices of the network.

    Returns:
        For each input, in the order of the graph, the layers that read it.
    """
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    constants = {initializer.name for initializer in graph.initializer}
    layers: dict[str, list[Layer]] = {}
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in weights:
            continue
        next_nodes = readers.get(node.output[0], [])
        addition = next_nodes[0] if len(next_nodes) == 1 and next_nodes[0].op_type == "Add" else None
        biases = [name for name in addition.input if name in constants] if addition else []
        bias = biases[0] if biases else ""
        layers.setdefault(node.input[0], []).append(Layer(node.input[1], bias, node, addition if bias else None))
    return layers


def quantise_graph(model: onnx.ModelProto, layers: Mapping[str, list[Layer]]) -> None:
    """Put 8-bit products in the place of some layers; the caller provides the constants, named as below."""
    replaced: dict[str, list[onnx.NodeProto]] = {}
    dropped: set[str] = set()
    for x, readers in layers.items():
        smoothed, codes = f"{x}:smoothed", f"{x}:codes"
        code = [input_scale(x), zero_point(x)]
        nodes = [
            helper.make_node("Mul", [x, shrink(x)], [smoothed], name=f"{x}:smooth"),
            helper.make_node("QuantizeLinear", [smoothed, *code], [codes], name=f"{x}:quantise"),
        ]
        for layer in readers:
            inputs = [codes, layer.weight, code[0], weight_scales(layer.weight), code[1], "", layer.bias]
            product = helper.make_node(
                _OPERATOR, inputs, [layer.output], domain=_DOMAIN, name=f"{layer.weight}:product"
            )
            replaced[layer.product.output[0]] = [*nodes, product]
            nodes = []
            if layer.addition:
                dropped.add(layer.addition.output[0])
    kept: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.output[0] in replaced:
            kept += replaced[node.output[0]]
        elif node.output[0] not in dropped:
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))


def shrink(x: str) -> str:
    """Name of the constant that an input is multiplied by: one over its smoothing."""
    return f"{x}:shrink"


def input_scale(x: str) -> str:
    """Name of the step between two codes of an input."""
    return f"{x}:scale"


def zero_point(x: str) -> str:
    """Name of an input's code of 0."""
    return f"{x}:zero_point"


def weight_scales(weight: str) -> str:
    """Name of the scales of a layer's outputs."""
    return f"{weight}:scales"
