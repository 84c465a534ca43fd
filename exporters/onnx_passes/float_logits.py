"""Attention's logits stay float between their int8 product and the softmax.

    MatMul -> QuantizeLinear -> DequantizeLinear -> Softmax    =    MatMul -> Softmax

ONNX Runtime then makes a product of int8 operands with a float result (MatMulIntegerToFloat), and a float softmax. Its int8
softmax takes 26 Arm instructions a value; the float one takes fewer, with 3 to quantize what it gives. The logits lose no
bits either.

The int8 softmax does not clip, so that its range has to be 0 to 1. The float one's values are clipped where they are
quantized: they have the range of calibration. Attention over 256 places has values near 1/256, which is one step of the
whole range.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from .qdq_graph import QdqGraph


def float_logits(model: Any, largest: Mapping[str, float]) -> int:
    """Changes a quantized ModelProto in place; returns how many softmaxes read float logits now.

    Args:
        model: with all softmaxes' ranges from 0 to 1.
        largest: the upper end of what each softmax gives, by the value's name.

    A softmax whose logits another operator reads too, or that no product of int8 operands gives, stays as it is.
    """
    graph, done = QdqGraph(model), 0
    for softmax in [node for node in graph.nodes if node.op_type == "Softmax"]:
        path = _written_by(graph, softmax, ("DequantizeLinear", "QuantizeLinear", "MatMul"))
        if path is None:
            continue
        dequantize, quantize, product = path
        operands = [graph.writers.get(name) for name in product.input]
        if any(operand is None or operand.op_type != "DequantizeLinear" for operand in operands):
            continue
        softmax.input[0] = product.output[0]
        graph.remove_unread(dequantize)
        graph.remove_unread(quantize)
        _narrow(graph, softmax.output[0], largest)
        done += 1
    return done


def has_float_logits(model: Any, softmax: Any, in_int8: Collection[str]) -> bool:
    """Whether `float_logits` will find a softmax of a float ModelProto, once it is quantized.

    Args:
        in_int8: names of the nodes that the quantizer gets.
    """
    logits = softmax.input[0]
    writer = next((node for node in model.graph.node if logits in node.output), None)
    if writer is None or writer.op_type != "MatMul" or writer.name not in in_int8:
        return False
    return sum(logits in node.input for node in model.graph.node) == 1


def _narrow(graph: QdqGraph, value: str, largest: Mapping[str, float]) -> None:
    """Gives the conversion of a value, and those after it that share its scale, the range from 0 to the largest."""
    from onnx import numpy_helper

    high = largest.get(value, 1.0)
    for conversion in graph.readers(value):
        if conversion.op_type == "QuantizeLinear" and 0.0 < high < 1.0:
            scale = graph.constants[conversion.input[1]]
            narrowed = numpy_helper.to_array(scale) * np.float32(high)
            scale.CopyFrom(numpy_helper.from_array(narrowed.astype(np.float32), scale.name))


def _written_by(graph: QdqGraph, node: Any, types: tuple[str, ...]) -> list[Any] | None:
    """The chain of nodes of these types that ends at a node's first input, if nothing else reads its values."""
    path: list[Any] = []
    for type in types:
        value = node.input[0]
        node = graph.writers.get(value)
        if node is None or node.op_type != type or len(graph.readers(value)) != 1 or value in graph.outputs:
            return None
        path.append(node)
    return path
