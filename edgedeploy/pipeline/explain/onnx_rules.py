"""What ONNX Runtime's CPU kernels compute in integers of a model with QuantizeLinear and DequantizeLinear.

Read from `core/optimizer/qdq_transformer/selectors_actions/` of ONNX Runtime at commit 008eeb9. There is no delegate. An
operator between DequantizeLinear and QuantizeLinear becomes an integer one where a kernel exists; all others run in float,
with the conversions around them. The rules are those for Arm: on x86 some operators with int8 activations stay in float,
and with uint8 (`--tune-for x86`) they do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgedeploy.core.results.explanation import Refusal
from edgedeploy.exporters.onnx_operators import CONVERSIONS

RULES_FROM = "ONNX Runtime at 008eeb9, qdq_selector_action_transformer.cc, on Arm"
QUANTIZE, DEQUANTIZE = CONVERSIONS

INTEGER_KERNELS = frozenset(
    (
        *("Conv", "Gemm", "MatMul", "Add", "Mul", "AveragePool", "GlobalAveragePool", "LeakyRelu"),
        *("Sigmoid", "Softmax", "Concat", "Where"),
    )
)
# run on what they are given: the conversions around them are dropped
MOVES = frozenset(
    (
        *("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Expand", "Gather", "GatherElements", "Tile"),
        *("Slice", "Split", "Resize", "MaxPool", "ReduceMax", "ReduceMin", "ArgMax"),
    )
)
FUSED = frozenset({"Relu", "Clip"})  # into the rounding of the operator before them
# a product whose first operand is quantized in each run, with its result in float, is one kernel
DYNAMIC = frozenset({"DynamicQuantizeLinear", "MatMulInteger"})
BEHIND_DYNAMIC = ("Cast", "Mul", "Add")


@dataclass(frozen=True)
class Surroundings:
    """Which of a node's inputs come from DequantizeLinear, and whether its outputs go to QuantizeLinear only.

    Attributes:
        of_dynamic: whether it scales the integers of a MatMulInteger or adds a bias to them.
    """

    inputs: bool
    outputs: bool
    of_dynamic: bool = False


def surroundings_of(model: Any) -> Mapping[str, Surroundings]:
    """By the name of a node, for all but the conversions."""
    graph = model.graph
    producers = {value: node.op_type for node in graph.node for value in node.output}
    constants = {weight.name for weight in graph.initializer}
    readers: dict[str, list[str]] = {}
    for node in graph.node:
        for value in node.input:
            readers.setdefault(value, []).append(node.op_type)
    for value in graph.output:
        readers.setdefault(value.name, []).append("output")
    behind_dynamic = _behind_dynamic(graph)
    return {
        node.name or node.output[0]: Surroundings(
            all(producers.get(value) == DEQUANTIZE for value in node.input if value and value not in constants),
            all(kind == QUANTIZE for value in node.output for kind in readers.get(value, ())),
            any(value in behind_dynamic for value in node.output),
        )
        for node in graph.node
        if node.op_type not in CONVERSIONS
    }


def _behind_dynamic(graph: Any) -> set[str]:
    """The values between a MatMulInteger and its scaled result with a bias, that result, and the product of the scales."""
    passed: dict[str, frozenset[str]] = {}  # the types on the way to each value, each at most once
    for node in graph.node:
        before = [passed[value] for value in node.input if value in passed]
        types = frozenset().union(*before)
        if node.op_type in DYNAMIC:
            passed.update(dict.fromkeys(node.output, frozenset[str]()))
        elif before and node.op_type in BEHIND_DYNAMIC and (node.op_type not in types or len(before) > 1):
            passed.update(dict.fromkeys(node.output, types | {node.op_type}))
    return set(passed)


def refusal_of(type: str, around: Surroundings) -> Refusal | None:
    """Why an operator of a quantized model runs in float; None where it runs in integers."""
    if type in MOVES or type in FUSED or type in DYNAMIC or around.of_dynamic:
        return None
    if type not in INTEGER_KERNELS:
        return Refusal("operator", f"there is no integer {type}; it runs in float between conversions")
    if not around.inputs:
        return Refusal("neighbours", "an input of it is float")
    if not around.outputs and type not in ("MatMul", "Gemm"):
        return Refusal("neighbours", "its output is read in float")
    return None
