"""ExecuTorch's passes over what goes to the delegate, each of which traces the graph anew though most change nothing.

That was half of the time of lowering. Here a graph is traced again only if it is not the one that the last trace gave.
The file is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

# What a pass may do to each operator while it traces; one that does any of it always traces.
PER_OPERATOR = (
    "call_operator",
    "call_getitem",
    "call_delegate",
    "call_submodule",
    "call_cond",
    "call_map",
    "call_sym",
    "placeholder",
    "get_attr",
    "output",
    "inputs",
)


@contextmanager
def tracing_only_changes() -> Iterator[None]:
    """Within it, passes of the XNNPACK delegate do not trace a graph that they have not changed."""
    from executorch.backends.xnnpack._passes import XNNPACKPassManager
    from executorch.exir.pass_base import ExportPass
    from torch.fx.passes.infra.pass_base import PassResult

    transform, trace = XNNPACKPassManager.transform, ExportPass.call
    traced = ""

    def call(self: Any, graph_module: Any) -> Any:
        nonlocal traced
        changes = any(getattr(type(self), name, None) is not getattr(ExportPass, name, None) for name in PER_OPERATOR)
        if not changes and _description(graph_module.graph) == traced:
            return PassResult(graph_module, modified=True)
        result = trace(self, graph_module)
        traced = _description(result.graph_module.graph)
        return result

    def transform_part(self: Any) -> Any:
        nonlocal traced
        traced = ""
        return transform(self)

    with patch.object(ExportPass, "call", call), patch.object(XNNPACKPassManager, "transform", transform_part):
        yield


def _description(graph: Any) -> str:
    """All of a graph that a trace reads."""
    return "\n".join(
        f"{node.name} {node.op} {node.target} {node.args} {node.kwargs} {_value(node)}" for node in graph.nodes
    )


def _value(node: Any) -> str:
    """Types, shapes and strides of a node's results."""
    import torch

    values = torch.utils._pytree.tree_leaves(node.meta.get("val"))
    return " ".join(
        f"{value.dtype}{tuple(value.shape)}{value.stride()}" if isinstance(value, torch.Tensor) else str(value)
        for value in values
    )
