"""The biases of the layers that give an ONNX model's float outputs, which take what the outputs lack on average."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgedeploy.exporters.onnx_operators import operators_of
from edgedeploy.exporters.operators.output_layers import output_layers

from .qdq_graph import QdqGraph, shapes_of

BIAS = {"Gemm": 2, "Conv": 2, "Add": 1}  # its position among the inputs; an addition ends a dynamic product
VIEWS = ("Reshape", "Flatten", "Squeeze")


def layers_of_outputs(model: Any) -> dict[int, Any]:
    """The layers with a constant bias that give a float output, (batch, channels), and nothing else, by its number."""
    graph, shapes = QdqGraph(model), shapes_of(model.graph.output)
    nodes = {node.name: node for node in model.graph.node}
    found = output_layers(operators_of(model, {}), list(shapes), shapes.__getitem__, BIAS, VIEWS)
    layers = {one.output: nodes[str(one.layer)] for one in found}
    return {number: layer for number, layer in layers.items() if _bias_of(graph, layer) is not None}


def add_to_bias(model: Any, layer: Any, correction: Any) -> None:
    """Adds to a layer's bias, in place.

    Args:
        layer: as `layers_of_outputs` found it.
        correction: (channels,).
    """
    from onnx import numpy_helper

    graph, at = QdqGraph(model), BIAS[layer.op_type]
    dequantize, bias = graph.writers.get(layer.input[at]), _bias_of(graph, layer)
    values = numpy_helper.to_array(bias)
    if dequantize is None:
        changed = (values + correction).astype(values.dtype)
        layer.input[at] = graph.add_constant(f"{layer.input[at]}_corrected", changed)
    else:
        scale = numpy_helper.to_array(graph.constants[dequantize.input[1]])
        limits = np.iinfo(values.dtype)
        changed = np.clip(values + np.rint(correction / scale), limits.min, limits.max).astype(values.dtype)
        dequantize.input[0] = graph.add_constant(f"{dequantize.input[0]}_corrected", changed)
    graph.remove_unread_constant(bias.name)


def _bias_of(graph: QdqGraph, layer: Any) -> Any:
    """The constant of its bias, float or behind a DequantizeLinear that it alone reads; None where there is none."""
    at = BIAS[layer.op_type]
    if len(layer.input) <= at:
        return None
    writer = graph.writers.get(layer.input[at])
    if writer is None:
        return graph.constants.get(layer.input[at])
    if writer.op_type != "DequantizeLinear" or len(graph.readers(layer.input[at])) != 1:
        return None
    return graph.constants.get(writer.input[0]) if writer.input[1] in graph.constants else None
