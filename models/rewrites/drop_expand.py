"""An `expand` before an operator that broadcasts by itself  ->  nothing.

    x * y.expand_as(x)   ->   x * y
    y.expand(shape of y) ->   y

The operator's result has the same shape and the same values; the copies are never made.
"""

from __future__ import annotations

import torch
from torch import fx

from .graph import Graph, shape
from .rewrite import Rewrite

aten = torch.ops.aten
EXPANDS = (aten.expand.default, aten.expand_as.default, aten.broadcast_to.default)
BROADCASTING = (
    aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor, aten.maximum.default, aten.minimum.default,
    aten.pow.Tensor_Tensor, aten.where.self, aten.gt.Tensor, aten.ge.Tensor, aten.lt.Tensor, aten.le.Tensor,
    aten.eq.Tensor, aten.ne.Tensor,
)  # fmt: skip


class DropExpand(Rewrite):
    name = "drop_expand"
    reason = "operators broadcast by themselves; LiteRT's converter fails at some of the copies"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        if node.target in EXPANDS:
            return isinstance(node.args[0], fx.Node) and shape(node) == shape(node.args[0])
        return node.target in BROADCASTING and any(_is_expanded(argument) for argument in node.args)

    def check(self, graph: Graph, node: fx.Node) -> dict[fx.Node, fx.Node]:
        """What to read instead of each expanded operand; those stay that alone give the result its shape."""
        if node.target in EXPANDS:
            return {}
        instead: dict[fx.Node, fx.Node] = {}
        for operand in dict.fromkeys(a for a in node.args if _is_expanded(a)):
            tried: dict[fx.Node, fx.Node] = {**instead, operand: operand.args[0]}  # type: ignore
            shapes = [shape(tried.get(a, a)) for a in node.args if isinstance(a, fx.Node)]
            if tuple(torch.broadcast_shapes(*shapes)) == shape(node):
                instead = tried
        return instead

    def rewrite(self, graph: Graph, node: fx.Node, plan: dict[fx.Node, fx.Node]) -> None:
        if node.target in EXPANDS:
            graph.replace(node, node.args[0])  # type: ignore[arg-type]
            return
        for old, new in plan.items():
            node.replace_input_with(old, new)
            graph.erase_if_unused(old)


def _is_expanded(value: object) -> bool:
    return isinstance(value, fx.Node) and value.target in EXPANDS and isinstance(value.args[0], fx.Node)


REWRITE = DropExpand()
