"""An operator that returns its operand in a network that does not train  ->  nothing.

    dropout(x, p, train=False)    ->   x
    detach(x)                     ->   x
    to(x, its own dtype)          ->   x
    pad(x, by nothing)            ->   x

Quantizers do not know them: XNNPACK's leaves a dropout and what reads it in float, and no rule of a recipe sees that a
matrix product reads the softmax before it. XNNPACK refuses an int8 padding by nothing.
"""

from __future__ import annotations

import torch
from torch import fx

from .graph import PADS, Graph, argument, source
from .rewrite import Rewrite

aten = torch.ops.aten
DROPOUTS = (
    aten.dropout.default,
    aten.feature_dropout.default,
    aten.alpha_dropout.default,
    aten.feature_alpha_dropout.default,
)
ALIASES = (aten.detach.default, aten.alias.default)
CONVERSIONS = (aten.to.dtype, aten.to.dtype_layout, aten._to_copy.default)


class DropIdentity(Rewrite):
    name = "drop_identity"
    reason = "what changes nothing stands between operators that belong together"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        is_dropout = node.target in DROPOUTS and argument(node, 2) is False
        is_pad = node.target in PADS and not any(argument(node, 1))
        if not (is_dropout or is_pad or node.target in ALIASES or node.target in CONVERSIONS):
            return False
        operand = node.args[0]
        return isinstance(operand, fx.Node) and operand.meta["val"].dtype == node.meta["val"].dtype

    def check(self, graph: Graph, node: fx.Node) -> None:
        """All these return the operand itself, so that nothing can be wrong."""

    def rewrite(self, graph: Graph, node: fx.Node, plan: None) -> None:
        graph.replace(node, source(node))


REWRITE = DropIdentity()
