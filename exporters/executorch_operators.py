"""Facts about the operators of an ExecuTorch program: which module each came from, and its output's dtype.

Module paths are exact: torch.export's `nn_module_stack` is kept by ExecuTorch's passes, and the program that a delegate
was lowered from stays beside the delegate. What XNNPACK does inside, such as the fusion of a clip into a convolution or
of quantize and dequantize into integer kernels, is not in this program. Operators that a pass adds without a stack have
the path "".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from edgedeploy.core.provenance import GraphSummary, OperatorFact

from .captured import module_path

DELEGATE_CALL = "executorch_call_delegate"
GETITEM = "getitem"  # takes one of several results; no operator
ALLOC = "alloc"  # memory planning; no instruction of the program


def graph_summary(graph: Any) -> GraphSummary:
    """Operators outside of delegates by type, and how many delegate calls there are."""
    types = Counter(_type(node) for node in _calls(graph))
    delegates = types.pop(DELEGATE_CALL, 0)
    return GraphSummary(dict(types.most_common()), delegates=delegates)


def operator_facts(module: Any) -> tuple[OperatorFact, ...]:
    """All operators of a lowered GraphModule, in the order of calls; those of a delegate stand where it is called."""
    from executorch.exir.lowered_backend_module import get_lowered_submodules

    delegates = {call.name: lowered for _, lowered, call in get_lowered_submodules(module)}
    facts: list[OperatorFact] = []
    for node in _calls(module.graph):
        if node.name in delegates:
            inside = delegates[node.name].original_module.graph
            facts += [_fact(inner, delegated=True) for inner in _calls(inside)]
        elif _type(node) != ALLOC:
            facts.append(_fact(node, delegated=False))
    return tuple(facts)


def _calls(graph: Any) -> Iterator[Any]:
    return (node for node in graph.nodes if node.op == "call_function" and _type(node) != GETITEM)


def _type(node: Any) -> str:
    return str(getattr(node.target, "__name__", node.target))


def _fact(node: Any, *, delegated: bool) -> OperatorFact:
    value = node.meta.get("val")
    first = value[0] if isinstance(value, list | tuple) and value else value
    dtype = str(getattr(first, "dtype", "")).removeprefix("torch.")
    return OperatorFact(node.name, _type(node), module_path(node), delegated, dtype)
