"""The layers that give an ONNX model's float outputs: their weights and biases take what the outputs are off by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgedeploy.exporters.onnx_operators import operators_of
from edgedeploy.exporters.operators.output_correction import Correction
from edgedeploy.exporters.operators.output_layers import output_layers

from .qdq_graph import QdqGraph, shapes_of

BIAS = {"Gemm": 2, "Conv": 2, "Add": 1}  # its position among the inputs; an addition ends a product
VIEWS = ("Reshape", "Flatten", "Squeeze")


@dataclass(frozen=True)
class Constant:
    """A constant as the input of the one node that reads it."""

    reader: Any
    position: int

    @property
    def name(self) -> str:
        return str(self.reader.input[self.position])


@dataclass(frozen=True)
class Layer:
    """The constants of a layer: float weights or their scales, and a float bias or integers with their scale."""

    weights: Constant
    bias: Constant
    bias_scale: Constant | None


def layers_of_outputs(model: Any) -> dict[int, Layer]:
    """The layers of constants that give a float output, (batch, channels), and nothing else, by its number."""
    graph, shapes = QdqGraph(model), shapes_of(model.graph.output)
    nodes = {node.name: node for node in model.graph.node}
    found = output_layers(operators_of(model, {}), list(shapes), shapes.__getitem__, BIAS, VIEWS)
    layers = {one.output: _constants_of(graph, nodes[str(one.layer)]) for one in found}
    return {number: layer for number, layer in layers.items() if layer is not None}


def correct(model: Any, layer: Layer, correction: Correction) -> None:
    """Scales a layer's weights and bias, and adds to the bias, in place.

    Args:
        layer: as `layers_of_outputs` found it.
    """
    graph = QdqGraph(model)
    weights, bias = _values(graph, layer.weights), _values(graph, layer.bias)
    _set(graph, layer.weights, weights * correction.gain)
    if layer.bias_scale is None:
        _set(graph, layer.bias, bias * correction.gain + correction.shift)
        return
    scale, limits = _values(graph, layer.bias_scale) * correction.gain, np.iinfo(bias.dtype)
    _set(graph, layer.bias_scale, scale)
    _set(graph, layer.bias, np.clip(bias + np.rint(correction.shift / scale), limits.min, limits.max))


def _constants_of(graph: QdqGraph, layer: Any) -> Layer | None:
    weights = _weights_of_product(graph, layer) if layer.op_type == "Add" else _factor(graph, layer, 1)
    bias_factor = _factor(graph, layer, BIAS[layer.op_type])
    if weights is None or bias_factor is None:
        return None
    if bias_factor.reader is layer:
        return Layer(weights, bias_factor, None)
    bias = _constant(graph, bias_factor.reader, 0)
    return None if bias is None else Layer(weights, bias, bias_factor)


def _weights_of_product(graph: QdqGraph, addition: Any) -> Constant | None:
    """The weights of what an addition adds a bias to: a matrix product, or sums of integers times two scales."""
    product = graph.writers.get(addition.input[0])
    if product is None or len(graph.readers(addition.input[0])) != 1:
        return None
    if product.op_type == "MatMul":
        return _factor(graph, product, 1)
    scales = graph.writers.get(product.input[1]) if product.op_type == "Mul" else None
    return _constant(graph, scales, 1) if scales is not None and scales.op_type == "Mul" else None


def _factor(graph: QdqGraph, node: Any, position: int) -> Constant | None:
    """What an input that only this node reads is proportional to: its scale if it is dequantized, else the constant."""
    if len(node.input) <= position:
        return None
    name = node.input[position]
    dequantize = graph.writers.get(name)
    if dequantize is None:
        return _constant(graph, node, position)
    if dequantize.op_type != "DequantizeLinear" or len(graph.readers(name)) != 1:
        return None
    return _constant(graph, dequantize, 1)


def _constant(graph: QdqGraph, node: Any, position: int) -> Constant | None:
    return Constant(node, position) if node.input[position] in graph.constants else None


def _values(graph: QdqGraph, constant: Constant) -> Any:
    from onnx import numpy_helper

    return numpy_helper.to_array(graph.constants[constant.name])


def _set(graph: QdqGraph, constant: Constant, values: Any) -> None:
    """Gives a node other values in a constant's place; other readers keep theirs."""
    old, dtype = constant.name, _values(graph, constant).dtype
    constant.reader.input[constant.position] = graph.add_constant(f"{old}_corrected", values.astype(dtype))
    graph.remove_unread_constant(old)
