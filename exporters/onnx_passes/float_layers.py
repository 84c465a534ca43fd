"""Layers that the recipe leaves in float stay in float when ONNX Runtime loads the file.

    QuantizeLinear -> DequantizeLinear -> Conv in float -> [Relu, Clip]* -> QuantizeLinear

Between quantized neighbours ONNX Runtime gives a float layer int8 weights, with one scale for the whole weight (its
optimization WeightBiasQuantization, seen with 1.31.1). A depthwise layer whose channels differ by a factor of forty then
has a few steps for most of them: with EfficientNet-Lite0's first one in float the network had 8.8 dB, with it in int8 24.6,
and with this pass 25.6. It does so only where the input has one scale. So these layers read a conversion of their own,
which has that scale once for each channel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .qdq_graph import QdqGraph

LAYERS = ("Conv", "ConvTranspose", "Gemm")


def keep_float_layers(model: Any) -> int:
    """Changes a quantized ModelProto in place; returns how many layers got a conversion of their own.

    A layer with one input channel stays as it is: one scale is one for each channel.
    """
    graph, done = QdqGraph(model), 0
    for layer in [node for node in graph.nodes if node.op_type in LAYERS and node.input[1] in graph.constants]:
        dequantize = graph.writers.get(layer.input[0])
        channels = _input_channels(graph, layer)
        if dequantize is None or dequantize.op_type != "DequantizeLinear" or channels == 1:
            continue
        if _has_one_scale(graph, dequantize) and _is_quantized_next(graph, layer.output[0]):
            _give_own_conversion(graph, layer, dequantize, channels)
            done += 1
    return done


def _input_channels(graph: QdqGraph, layer: Any) -> int:
    """Channels of a layer's input, its dimension 1."""
    sides = graph.constants[layer.input[1]].dims
    attributes = {attribute.name: attribute.i for attribute in layer.attribute}
    if layer.op_type == "Conv":
        return int(sides[1] * attributes.get("group", 1))
    if layer.op_type == "ConvTranspose":
        return int(sides[0])
    return int(sides[1] if attributes.get("transB", 0) else sides[0])


def _has_one_scale(graph: QdqGraph, dequantize: Any) -> bool:
    constants = [graph.constants.get(name) for name in dequantize.input[1:]]
    return len(constants) == 2 and all(constant is not None and not list(constant.dims) for constant in constants)


def _is_quantized_next(graph: QdqGraph, value: str) -> bool:
    """Whether a value is quantized and nothing else, maybe behind an activation."""
    readers = graph.readers(value)
    if len(readers) != 1 or value in graph.outputs:
        return False
    (reader,) = readers
    if reader.op_type in ("Relu", "Clip"):
        return _is_quantized_next(graph, reader.output[0])
    return bool(reader.op_type == "QuantizeLinear")


def _give_own_conversion(graph: QdqGraph, layer: Any, dequantize: Any, channels: int) -> None:
    """Puts a DequantizeLinear with a scale for each channel, all alike, before a layer."""
    from onnx import helper, numpy_helper

    name = f"{layer.name}_input"
    scale, zero_point = (
        graph.add_constant(f"{name}_{end}", np.full(channels, numpy_helper.to_array(graph.constants[constant])))
        for end, constant in zip(("scales", "zero_points"), dequantize.input[1:], strict=True)
    )
    own = helper.make_node("DequantizeLinear", [dequantize.input[0], scale, zero_point], [name], name=name, axis=1)
    layer.input[0] = name
    graph.replace(layer, [own, layer])
    graph.remove_unread(dequantize)
