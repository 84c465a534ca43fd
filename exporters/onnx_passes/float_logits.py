"""Attention's logits stay float between their int8 product and the softmax.

    MatMul -> QuantizeLinear -> DequantizeLinear -> Softmax    =    MatMul -> Softmax

ONNX Runtime then makes a product of int8 operands with a float result (MatMulIntegerToFloat), and a float softmax. Its int8
softmax takes 26 Arm instructions a value; the float one takes fewer, with 3 to quantize what it gives. The logits lose no
bits either. Sums with a bias or a mask between the two, and views, are float as well; these constants
are not rounded.

The int8 softmax does not clip, so that its range has to be 0 to 1. The float one's values are clipped where they are
quantized: they have the range of calibration. Attention over 256 places has values near 1/256, which is one step of the
whole range.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .float_parameters import restore_float_constant
from .qdq_graph import QdqGraph

BETWEEN = {"Add": 2, "Reshape": 1}  # what may be between product and softmax: how many of its inputs may be the logits


def float_logits(model: Any, source: Any, largest: Mapping[str, float]) -> int:
    """Changes a quantized ModelProto in place; returns how many softmaxes read float logits now.

    Args:
        model: with all softmaxes' ranges from 0 to 1.
        source: the float ModelProto that it was made of. Nodes keep their names.
        largest: the upper end of what each softmax gives, by the value's name.

    A softmax whose logits another operator reads too, or that no product of int8 operands gives, stays as it is.
    """
    graph, done = QdqGraph(model), 0
    originals = {node.name: node for node in source.graph.node}
    floats = {constant.name: constant for constant in source.graph.initializer}
    for softmax in [node for node in graph.nodes if node.op_type == "Softmax"]:
        steps = _steps(graph, softmax, 0)
        for step in steps:
            step.reader.input[step.side] = step.node.output[0]
            graph.remove_unread(step.dequantize)
            graph.remove_unread(step.quantize)
            for index in range(BETWEEN.get(step.node.op_type, 0)):
                original = originals[step.node.name].input[index]
                restore_float_constant(graph, step.node, index, floats.get(original))
        if steps:
            _narrow(graph, softmax.output[0], largest)
            done += 1
    return done


def has_float_logits(model: Any, softmax: Any, in_int8: Collection[str]) -> bool:
    """Whether `float_logits` will find a softmax of a float ModelProto, once it is quantized.

    Args:
        in_int8: names of the nodes that the quantizer gets.
    """
    graph = QdqGraph(model)

    def is_of_product(value: str) -> bool:
        writer = graph.writers.get(value)
        if writer is None or len(graph.readers(value)) != 1 or writer.name not in in_int8:
            return False
        between = BETWEEN.get(writer.op_type, 0)
        return writer.op_type == "MatMul" or any(is_of_product(name) for name in writer.input[:between])

    return is_of_product(softmax.input[0])


@dataclass(frozen=True)
class _Step:
    """An operator between the product and the softmax, or the product, and the conversions behind it.

    Attributes:
        reader, side: which input of which node reads its result.
    """

    node: Any
    quantize: Any
    dequantize: Any
    reader: Any
    side: int


def _steps(graph: QdqGraph, reader: Any, side: int) -> list[_Step]:
    """From what a node reads up to a product of int8 operands; empty where something else reads a value on the way."""
    chain, value = [], reader.input[side]
    for type in ("DequantizeLinear", "QuantizeLinear", ""):
        writer = graph.writers.get(value)
        if (
            writer is None
            or type not in ("", writer.op_type)
            or len(graph.readers(value)) != 1
            or value in graph.outputs
        ):
            return []
        chain.append(writer)
        value = writer.input[0]
    dequantize, quantize, node = chain
    step = _Step(node, quantize, dequantize, reader, side)
    if node.op_type == "MatMul":
        operands = [graph.writers.get(name) for name in node.input]
        return [step] if all(found is not None and found.op_type == "DequantizeLinear" for found in operands) else []
    further = (_steps(graph, node, side) for side in range(BETWEEN.get(node.op_type, 0)))
    found = next((steps for steps in further if steps), [])
    return [step, *found] if found else []


def _narrow(graph: QdqGraph, value: str, largest: Mapping[str, float]) -> None:
    """Gives the conversion of a value, and those after it that share its scale, the range from 0 to the largest."""
    from onnx import numpy_helper

    high = largest.get(value, 1.0)
    for conversion in graph.readers(value):
        if conversion.op_type == "QuantizeLinear" and 0.0 < high < 1.0:
            scale = graph.constants[conversion.input[1]]
            narrowed = numpy_helper.to_array(scale) * np.float32(high)
            scale.CopyFrom(numpy_helper.from_array(narrowed.astype(np.float32), scale.name))
