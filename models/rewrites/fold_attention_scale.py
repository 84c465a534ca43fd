"""(W x + b) * s -> (s W) x + s b:  the factor of attention goes into the projection that makes q.

    (q * s) k^T        q comes from a layer of its own, through reshapes and permutes
    (q k^T) * s        the same, since the product is linear in q

In int8 the gain is more than an operator: q and its scaled copy would each be rounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, operator_name, single_user, source
from .layout import VIEWS
from .rewrite import Rewrite

aten = torch.ops.aten
LAYERS = (aten.linear.default, aten.conv2d.default)
MOVES = (*VIEWS, aten.permute.default, aten.transpose.int, aten.slice.Tensor)


@dataclass(frozen=True)
class Scaled:
    """A layer and the factor that its output may carry already."""

    layer: fx.Node
    factor: float


class FoldAttentionScale(Rewrite):
    name = "fold_attention_scale"
    reason = "a constant factor on a layer's output belongs into its weights"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return _factor(graph, node) is not None and (
            source(node).target in (*LAYERS, *MOVES, aten.matmul.default, aten.mul.Tensor)
        )

    def check(self, graph: Graph, node: fx.Node) -> Scaled:
        factor = _factor(graph, node)
        assert factor is not None
        above = source(node)
        while single_user(above) is not None and above.target in (*MOVES, aten.matmul.default):
            above = source(above)
        if single_user(above) is None:
            raise RewriteRefused(f"{operator_name(above)} is read elsewhere too, without the factor")
        if above.target not in LAYERS:
            raise RewriteRefused(f"the value comes from {operator_name(above)}, which has no weights")
        if graph.constant(argument(above, 1)) is None:
            raise RewriteRefused("the layer's weight is computed")
        return Scaled(above, factor)

    def rewrite(self, graph: Graph, node: fx.Node, plan: Scaled) -> None:
        layer = plan.layer
        args = list(layer.args) + [None] * (3 - len(layer.args))
        old = args[1:3]
        for index, held in ((1, graph.constant(argument(layer, 1))), (2, graph.constant(argument(layer, 2)))):
            if held is not None:
                args[index] = graph.add_constant(held * plan.factor, "scaled", before=layer)
        layer.args = tuple(args)
        for value in old:
            if isinstance(value, fx.Node):
                graph.erase_if_unused(value)
        graph.replace(node, source(node))


def _factor(graph: Graph, node: fx.Node) -> float | None:
    """The number that a product or quotient scales its first argument by."""
    if node.target not in (aten.mul.Tensor, aten.div.Tensor) or node.kwargs or not isinstance(node.args[0], fx.Node):
        return None
    number, held = node.args[1], graph.constant(node.args[1])
    if held is not None and held.numel() == 1 and held.ndim <= 1:
        number = float(held)
    if not isinstance(number, int | float) or number == 0:
        return None
    return float(number) if node.target == aten.mul.Tensor else 1.0 / float(number)


REWRITE = FoldAttentionScale()
