"""A gated activation x g(x) between int8 tensors -> an integer operator for g, and an integer product.

ONNX Runtime has few integer activations: it dequantizes, computes in float, and quantizes. It does have an integer product,
and an integer Sigmoid, which is a table of 256 entries. What these make of an int8 input depends on the scales and zero
points that they read and write with, so that one of them can be g.

An int8 input has 256 values, so that the error is known before a gate is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .qdq_graph import Affine, QdqGraph

CODES = np.arange(-128, 128)
# Of the output; beside the half a step that rounding takes anyway
MAX_ERROR_STEPS = 1.5
FACTOR_CODE = 64  # a constant's int8 code: a power of two, so that its scale is exact where the constant is one


@dataclass(frozen=True)
class Gate:
    """How g and the product read and write.

    Attributes:
        input: that g reads x with.
        written: that g's result is quantized with.
        read: that the product reads it with.
        error_steps: the largest error over all inputs, in steps of the output, before rounding.
        factor: g is a product with this constant; None where it is Sigmoid.
    """

    input: Affine
    written: Affine
    read: Affine
    error_steps: float
    factor: float | None = None


def to_gates(model: Any, operator: str, fit: Callable[[Affine, Affine], Gate]) -> dict[str, float]:
    """Changes a quantized ModelProto in place.

    Args:
        operator: the activation's type.
        fit: finds the gate for an input and an output that are quantized so.

    Returns, for each node that was replaced, the largest error in steps of its output.
    """
    graph = QdqGraph(model)
    done = {}
    for node in [node for node in graph.nodes if node.op_type == operator]:
        ends = _int8_ends(graph, node)
        gate = None if ends is None else fit(*ends)
        if gate is not None and gate.error_steps <= MAX_ERROR_STEPS:
            graph.replace(node, _gated(graph, node, gate))
            done[node.name] = round(gate.error_steps, 2)
    return done


def _int8_ends(graph: QdqGraph, node: Any) -> tuple[Affine, Affine] | None:
    """How a node's input and output are quantized; None where one of them is float."""
    before, after = graph.writers.get(node.input[0]), graph.readers(node.output[0])
    if before is None or before.op_type != "DequantizeLinear" or node.output[0] in graph.outputs:
        return None
    if len(after) != 1 or after[0].op_type != "QuantizeLinear":
        return None
    x, y = graph.affine(before), graph.affine(after[0])
    return None if x is None or y is None else (x, y)


def _gated(graph: QdqGraph, node: Any, gate: Gate) -> list[Any]:
    """The nodes that replace an activation. They read and write the values that it did."""
    from onnx import helper

    name, x = f"{node.name}_gate", node.input[0]
    codes = graph.writers[x].input[0]
    read_x, written, read = (
        graph.add_affine(f"{name}_{part}", affine)
        for part, affine in (("input", gate.input), ("written", gate.written), ("read", gate.read))
    )
    computed = [helper.make_node("Sigmoid", [f"{name}_x"], [f"{name}_result"], name=name)]
    if gate.factor is not None:
        code = graph.add_constant(f"{name}_code", np.int8(FACTOR_CODE))
        scale = graph.add_affine(f"{name}_constant", Affine(gate.factor / FACTOR_CODE, 0))
        computed = [
            helper.make_node(
                "DequantizeLinear", [code, *scale], [f"{name}_constant"], name=f"{name}_dequantize_constant"
            ),
            helper.make_node("Mul", [f"{name}_x", f"{name}_constant"], [f"{name}_result"], name=name),
        ]
    return [
        helper.make_node("DequantizeLinear", [codes, *read_x], [f"{name}_x"], name=f"{name}_dequantize_x"),
        *computed,
        helper.make_node("QuantizeLinear", [f"{name}_result", *written], [f"{name}_codes"], name=f"{name}_quantize"),
        helper.make_node("DequantizeLinear", [f"{name}_codes", *read], [f"{name}_factor"], name=f"{name}_dequantize"),
        helper.make_node("Mul", [x, f"{name}_factor"], [node.output[0]], name=node.name),
    ]
