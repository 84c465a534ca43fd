"""Facts about the operators of an ExecuTorch program: which module each came from, its output's
dtype, its multiply-accumulates, and which delegate runs it.

Module paths are exact: torch.export's `nn_module_stack` is kept by ExecuTorch's passes, and the program that a delegate
was lowered from stays beside the delegate. What XNNPACK does inside, such as the fusion of a clip into a convolution or
of quantize and dequantize into integer kernels, is not in this program. The quantizer's quantize and
dequantize have the path of the operator whose result they convert, or that reads theirs, if that is in the same delegate.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from edgedeploy.core.provenance import GraphSummary, OperatorFact

from .operators.arithmetic import NO_ARITHMETIC, Arithmetic, matrix_product, transposed_convolution, weighted
from .operators.module_paths import completed, module_path
from .regions import Operator

DELEGATE_CALL = "executorch_call_delegate"
GETITEM = "getitem"  # takes one of several results; no operator
ALLOC = "alloc"  # memory planning; no instruction of the program
QUANTIZED = "quantized_decomposed"
CONVERSIONS = tuple(
    f"{prefix}{operator}{suffix}"
    for prefix in ("", f"{QUANTIZED}.")
    for operator in ("quantize_per_tensor", "dequantize_per_tensor", "dequantize_per_channel")
    for suffix in (".default", ".out")
)

# positions of the two operands among the arguments
OPERANDS = {"convolution": (0, 1), "linear": (0, 1), "addmm": (1, 2), "mm": (0, 1), "bmm": (0, 1)}


def operators_of(graph: Any) -> list[Operator]:
    """The graph of a captured network; an operator's key is its node's name."""
    return [_operator(node, str(node.target)) for node in graph.nodes if node.op == "call_function"]


def graph_summary(graph: Any) -> GraphSummary:
    """Operators outside of delegates by type, and how many delegate calls there are."""
    types = Counter(_type(node) for node in _calls(graph) if _type(node) != GETITEM)
    delegates = types.pop(DELEGATE_CALL, 0)
    return GraphSummary(dict(types.most_common()), delegates=delegates)


def operator_facts(module: Any) -> tuple[OperatorFact, ...]:
    """All operators of a lowered GraphModule, in the order of calls; those of a delegate stand where it is called."""
    from executorch.exir.lowered_backend_module import get_lowered_submodules

    delegates = {call.name: lowered for _, lowered, call in get_lowered_submodules(module)}
    facts: list[OperatorFact] = []
    called = 0
    for node, fact in _facts(module.graph, delegate=None):
        if node.name in delegates:
            facts += [inner for _, inner in _facts(delegates[node.name].original_module.graph, delegate=called)]
            called += 1
        else:
            facts.append(fact)
    return tuple(fact for fact in facts if fact.type not in (GETITEM, ALLOC))


def _facts(graph: Any, *, delegate: int | None) -> list[tuple[Any, OperatorFact]]:
    """The nodes of a graph that call something, each as a fact; `delegate` is the number of its call."""
    nodes = _calls(graph)
    # the stack of a conversion is that of the export after quantization: the top level
    traced = [bool(node.meta.get("nn_module_stack")) and _type(node) not in CONVERSIONS for node in nodes]
    known = [module_path(node) if is_traced else None for node, is_traced in zip(nodes, traced, strict=True)]
    paths = completed([_operator(node, _type(node)) for node in nodes], known, CONVERSIONS)
    return [(node, _fact(node, path, delegate)) for node, path in zip(nodes, paths, strict=True)]


def _fact(node: Any, path: str, delegate: int | None) -> OperatorFact:
    arithmetic = _arithmetic(node)
    outside = delegate is None and bool(arithmetic.macs)
    return OperatorFact(
        node.name,
        _type(node),
        path,
        delegate is not None,
        _dtype(node),
        delegate=delegate,
        outside_because=f"XNNPACK's partitioner does not take this {_type(node)}" if outside else "",
        **dataclasses.asdict(arithmetic),
    )


def _arithmetic(node: Any) -> Arithmetic:
    """The multiply-accumulates of a node; int8 where both its operands are dequantized just before it."""
    kind = _type(node).removeprefix("aten.").partition(".")[0]
    if kind not in OPERANDS:
        return NO_ARITHMETIC
    left, right = (node.args[index] for index in OPERANDS[kind])
    int8 = all(_type(operand) in CONVERSIONS for operand in (left, right))
    data, weight, output = _shape(left), _shape(right), _shape(node)
    if kind == "convolution" and node.args[6]:  # transposed
        return transposed_convolution(data, weight, weight[0], int8=int8)
    if kind == "convolution":
        return weighted(output, weight, weight[0], int8=int8, depthwise=weight[1] == 1 < data[1])
    if kind == "linear":
        return weighted(output, weight, weight[0], int8=int8)
    return matrix_product(output, data, int8=int8)


def _shape(node: Any) -> tuple[int, ...]:
    return tuple(int(side) for side in node.meta["val"].shape)


def _calls(graph: Any) -> list[Any]:
    return [node for node in graph.nodes if node.op == "call_function"]


def _operator(node: Any, type: str) -> Operator:
    inputs = tuple(source.name for source in node.all_input_nodes)
    return Operator(node.name, type, inputs, (node.name,), module_path(node))


def _type(node: Any) -> str:
    return str(getattr(node.target, "__name__", node.target))


def _dtype(node: Any) -> str:
    value = node.meta.get("val")
    first = value[0] if isinstance(value, list | tuple) and value else value
    return str(getattr(first, "dtype", "")).removeprefix("torch.")
