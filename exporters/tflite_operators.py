"""Facts about the operators of a .tflite file: which module each came from, its output's dtype,
its multiply-accumulates, and which delegate runs it.

litert_torch names a tensor after the modules that compute it, `net.Top/net.Stage_trans/net.Block_0;3`: class and last
name of each module on the `nn_module_stack`, then a number. An operator that stands for several has all their names, the
last one first. The captured network has the same stacks, so that the names are looked up in it:

- Operators of the converter's own (pads, transposes) have the path of the operator that they serve.
- An operator with weights has the path of a layer among its names, so that a convolution with a fused activation has the
  convolution's path; another one has that of its first name.
- Two modules may share a name: a ModuleList is never called and so is missing from it (`a.0` and `b.0` are both `Block_0`).
  Then the path is the one that was called between the operators before and after it, as the file keeps the network's
  order; where this leaves several, the path is "".
- What writes an output of the network has lost its name to the output's, `serving_default_output_0_output`. It has the path
  of what returned that output; an operator with weights, that of the last layer before it.
- Operators whose name is of no module (the quantizer's, at the network's input) have the path of those that read them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgedeploy.core.provenance import OperatorFact

from .operators.arithmetic import NO_ARITHMETIC, Arithmetic, matrix_product, transposed_convolution, weighted
from .operators.module_paths import completed, module_path
from .regions import Operator
from .tflite_file import FileGraph, FileOperator

LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL", "TRANSPOSE_CONV")
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
OUTPUT_NAME = re.compile(r"serving_default_output_(\d+)")
LAYER_TARGETS = re.compile(r"aten\.(conv|linear|addmm|mm|bmm|matmul|convolution)")


@dataclass(frozen=True)
class Module:
    """A module that the captured network calls: its path, the positions of its calls, and whether it runs a layer."""

    path: str
    calls: tuple[int, ...]
    has_layer: bool


def module_paths(graph: FileGraph, captured: Any) -> list[str]:
    """The module path of each operator of a file, in the file's order.

    Args:
        captured: the GraphModule that the file was converted from.
    """
    modules = modules_by_name(captured)
    candidates = [
        _candidates(op.type, graph.tensors[op.outputs[0]].name, modules)
        or _of_output(op.type, graph.tensors[op.outputs[0]].name, captured)
        for op in graph.operators
    ]
    paths = [
        (module.path if module is not None else "") if possible else None
        for possible, module in zip(candidates, _unambiguous(candidates), strict=True)
    ]
    return completed(operators_of(graph, [""] * len(paths)), paths, CONVERSIONS)


def modules_by_name(captured: Any) -> dict[str, list[Module]]:
    """The modules of a captured network by the names that litert_torch gives them."""
    calls: dict[tuple[str, str], list[int]] = {}
    layers = set()
    for position, node in enumerate(captured.graph.nodes):
        if node.op == "call_function" and node.meta.get("nn_module_stack"):
            key = (_name(node), module_path(node))
            calls.setdefault(key, []).append(position)
            if LAYER_TARGETS.match(str(node.target)):
                layers.add(key)
    modules: dict[str, list[Module]] = {}
    for (name, path), positions in calls.items():
        modules.setdefault(name, []).append(Module(path, tuple(positions), (name, path) in layers))
    return modules


def operators_of(graph: FileGraph, modules: Sequence[str]) -> list[Operator]:
    """The graph of a file; an operator's key is its index."""
    return [Operator(index, op.type, op.inputs, op.outputs, modules[index]) for index, op in enumerate(graph.operators)]


def operator_facts(
    graph: FileGraph, modules: Sequence[str], delegated: Mapping[int, int], zero_points: Mapping[int, int]
) -> tuple[OperatorFact, ...]:
    """All operators of a file, in its order.

    Args:
        delegated: from `delegated_operators`.
        zero_points: of quantized tensors with one scale, by their index.
    """
    written = {value for op in graph.operators for value in op.outputs}
    facts = []
    for index, op in enumerate(graph.operators):
        output, arithmetic = graph.tensors[op.outputs[0]], arithmetic_of(graph, op)
        facts.append(
            OperatorFact(
                output.name,
                op.type,
                modules[index],
                index in delegated,
                output.dtype,
                delegate=delegated.get(index),
                outside_because=""
                if index in delegated or not arithmetic.macs
                else _outside_because(graph, op, written, zero_points),
                **dataclasses.asdict(arithmetic),
            )
        )
    return tuple(facts)


def _outside_because(
    graph: FileGraph, operator: FileOperator, written: Collection[int], zero_points: Mapping[int, int]
) -> str:
    """Why XNNPACK does not run a layer or matrix product, by the conditions of its TFLite delegate."""
    second, dtype = operator.inputs[1], graph.tensors[operator.outputs[0]].dtype
    if operator.type == "BATCH_MATMUL" and zero_points.get(second, 0) != 0:
        return f"its second operand has zero point {zero_points[second]}, and the delegate takes 0 alone"
    if operator.type not in ("BATCH_MATMUL", "TRANSPOSE_CONV") and second in written:
        return "its weights are computed, and the delegate takes constant ones"
    return f"the delegate does not take this {operator.type} with {dtype} results"


def arithmetic_of(graph: FileGraph, operator: FileOperator) -> Arithmetic:
    """The multiply-accumulates of an operator; int8 where its weights or second operand are."""
    if operator.type not in LAYERS:
        return NO_ARITHMETIC
    inputs, output = [graph.tensors[value] for value in operator.inputs], graph.tensors[operator.outputs[0]].shape
    int8 = inputs[1].dtype in ("int8", "int4")
    data, weight = inputs[0].shape, inputs[1].shape
    if operator.type == "BATCH_MATMUL":
        return matrix_product(output, data, int8=int8)
    if operator.type == "TRANSPOSE_CONV":  # its first input is the output's shape
        return transposed_convolution(inputs[2].shape, weight, weight[3], int8=int8)
    if operator.type == "DEPTHWISE_CONV_2D":
        return weighted(output, weight, weight[3], int8=int8, depthwise=True)
    depthwise = operator.type == "CONV_2D" and weight[3] == 1 < data[3]
    return weighted(output, weight, weight[0], int8=int8, depthwise=depthwise)


def delegated_operators(graph: FileGraph, plan: Sequence[Any]) -> dict[int, int]:
    """For each operator that a delegate computes, by its index, the number of the delegate in the order of execution.

    A delegate computes all between its inputs and its outputs.

    Args:
        plan: the nodes of an interpreter with delegates; those after the file's operators are the delegates.
    """
    producer = {value: index for index, op in enumerate(graph.operators) for value in op.outputs}
    found: dict[int, int] = {}
    for number, node in enumerate(plan[len(graph.operators) :]):
        outside = {int(value) for value in node["inputs"]}
        values = [int(value) for value in node["outputs"]]
        while values:
            index = producer.get(values.pop())
            if index is not None and index not in found:
                found[index] = number
                values += [value for value in graph.operators[index].inputs if value not in outside]
    return found


def _name(node: Any) -> str:
    """What litert_torch's debug information calls the modules of a node."""
    parts = []
    for path, kind in node.meta["nn_module_stack"].values():
        if not isinstance(kind, str):
            kind = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        parts.append(f"{kind}_{path.rpartition('.')[2]}" if path else kind)
    return "/".join(parts)


def _candidates(type: str, tensor: str, modules: dict[str, list[Module]]) -> list[Module]:
    """Modules that an operator may have come from, by its output's name."""
    named = [modules[part] for part in tensor.split(";") if part in modules]
    if type in LAYERS:
        named = [with_layer for found in named if (with_layer := [m for m in found if m.has_layer])] or named
    return named[0] if named else []


def _of_output(type: str, tensor: str, captured: Any) -> list[Module]:
    """The module that returned an output of the network, for the operator that writes it."""
    number = OUTPUT_NAME.match(tensor)
    if number is None:
        return []
    *nodes, end = captured.graph.nodes
    returned = [value for value in _flat(end.args[0]) if hasattr(value, "meta")]
    node = returned[int(number[1])] if int(number[1]) < len(returned) else None
    while node is not None and node.op == "call_function":
        if module_path(node) and (type not in LAYERS or LAYER_TARGETS.match(str(node.target))):
            return [Module(module_path(node), (nodes.index(node),), type in LAYERS)]
        node = next(iter(node.all_input_nodes), None)
    return []


def _flat(value: Any) -> list[Any]:
    """The leaves of nested tuples and lists."""
    return [leaf for part in value for leaf in _flat(part)] if isinstance(value, tuple | list) else [value]


def _unambiguous(candidates: Sequence[Sequence[Module]]) -> list[Module | None]:
    """The one candidate of each operator; of several, the one called between the operators whose module is certain."""
    found = [modules[0] if len(modules) == 1 else None for modules in candidates]
    latest, before = 0, []  # position of the last call of a certain operator so far
    for module in found:
        before.append(latest)
        latest = max(latest, module.calls[0]) if module is not None else latest
    earliest, after = float("inf"), []
    for module in reversed(found):
        after.append(earliest)
        earliest = min(earliest, module.calls[-1]) if module is not None else earliest
    for index, (modules, low, high) in enumerate(zip(candidates, before, reversed(after), strict=True)):
        between = [module for module in modules if any(low <= call <= high for call in module.calls)]
        if found[index] is None and len(between) == 1:
            found[index] = between[0]
    return found
