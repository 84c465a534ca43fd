"""The biases of the layers that give an ONNX model's float outputs, which take what the outputs lack on average."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .qdq_graph import QdqGraph

LAYERS, VIEWS = ("Gemm", "Conv"), ("Reshape", "Flatten", "Squeeze")


def layers_of_outputs(model: Any) -> dict[int, Any]:
    """The layers with a constant bias that give a float output, (batch, channels), and nothing else, by its number."""
    graph = QdqGraph(model)
    found = {}
    for index, output in enumerate(model.graph.output):
        value, layer = output.name, graph.writers.get(output.name)
        read_once = not graph.readers(value)
        while layer is not None and layer.op_type in VIEWS and read_once:
            value = layer.input[0]
            read_once = value not in graph.outputs and len(graph.readers(value)) == 1
            layer = graph.writers.get(value)
        if read_once and layer is not None and layer.op_type in LAYERS and _bias_of(graph, layer) is not None:
            found[index] = layer
    return found


def add_to_biases(model: Any, layers: Mapping[int, Any], corrections: Mapping[int, Any]) -> int:
    """Adds to the layers' biases, in place; returns how many outputs are corrected.

    Args:
        layers: as `layers_of_outputs` found them.
        corrections: (channels,), by the output's number.
    """
    from onnx import numpy_helper

    graph, done = QdqGraph(model), 0
    for index in layers.keys() & corrections.keys():
        layer, correction = layers[index], corrections[index]
        dequantize = graph.writers.get(layer.input[2])
        bias = _bias_of(graph, layer)
        if not np.any(correction) or bias is None:
            continue
        values = numpy_helper.to_array(bias)
        if dequantize is None:
            changed = (values + correction).astype(values.dtype)
            layer.input[2] = graph.add_constant(f"{layer.input[2]}_corrected", changed)
        else:
            scale = numpy_helper.to_array(graph.constants[dequantize.input[1]])
            limits = np.iinfo(values.dtype)
            changed = np.clip(values + np.rint(correction / scale), limits.min, limits.max).astype(values.dtype)
            dequantize.input[0] = graph.add_constant(f"{dequantize.input[0]}_corrected", changed)
        graph.remove_unread_constant(bias.name)
        done += 1
    return done


def _bias_of(graph: QdqGraph, layer: Any) -> Any:
    """The constant of its bias, float or behind a DequantizeLinear that it alone reads; None where there is none."""
    if len(layer.input) < 3:
        return None
    writer = graph.writers.get(layer.input[2])
    if writer is None:
        return graph.constants.get(layer.input[2])
    if writer.op_type != "DequantizeLinear" or len(graph.readers(layer.input[2])) != 1:
        return None
    return graph.constants.get(writer.input[0]) if writer.input[1] in graph.constants else None
