"""SiLU -> the product of its input with a sigmoid.

    silu(x) = x * sigmoid(x)

ExecuTorch's quantizer knows no SiLU: its input is dequantized, and sigmoid and product run in float. Apart, the product is
an int8 operator, and the sigmoid a table (exporters/executorch_quantizer/tables.py).
"""

from __future__ import annotations

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, source
from .rewrite import Rewrite

aten = torch.ops.aten


class SiluToGate(Rewrite):
    name = "silu_to_gate"
    reason = "its sigmoid is a table in int8, and its product an int8 operator"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target in (aten.silu.default, aten.silu_.default)

    def check(self, graph: Graph, node: fx.Node) -> None:
        if node.target == aten.silu_.default and (len(source(node).users) > 1 or _is_view(source(node))):
            raise RewriteRefused("it works in place on memory that others may read")

    def rewrite(self, graph: Graph, node: fx.Node, plan: None) -> None:
        x = source(node)
        gate = graph.call(aten.sigmoid.default, x, before=node)
        graph.replace(node, graph.call(aten.mul.Tensor, x, gate, before=node))


def _is_view(node: fx.Node) -> bool:
    """Whether a value may share its memory with another one, as operators declare."""
    schema = getattr(node.target, "_schema", None)
    return schema is None or any(result.alias_info is not None for result in schema.returns)


REWRITE = SiluToGate()
