"""A constant mask that is added  ->  a choice between the value and one that softmax takes for zero.

    softmax(x + m),  m of -inf or at most -1e4, else 0    ->    softmax(where(m = 0, x, -1e30))

exp of either is 0 beside any other of the row. The sum has a range from the mask to the largest logit, which leaves int8 no
step for the logits; a scale of -inf cannot be stored at all. Where a row is masked as a whole, the two differ.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, shape
from .rewrite import Rewrite

aten = torch.ops.aten
MASKED_FROM = -1e4
MASKED = -1e30  # finite: minus infinity times a zero is no number


class MaskByWhere(Rewrite):
    name = "mask_by_where"
    reason = "an added mask of -inf has no int8 range; a choice leaves the range of the logits as it is"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        if node.target != aten.add.Tensor or argument(node, 2) != 1:
            return False
        mask = next((held for held in map(graph.constant, node.args) if held is not None), None)
        return mask is not None and mask.is_floating_point() and bool((mask <= MASKED_FROM).any())

    def check(self, graph: Graph, node: fx.Node) -> tuple[fx.Node, Tensor]:
        """The value that is masked, and which of it is kept."""
        left, right = node.args[:2]
        value, held = (right, left) if graph.constant(left) is not None else (left, right)
        mask = graph.constant(held)
        assert mask is not None
        assert isinstance(value, fx.Node)
        keep = mask == 0
        if not bool((keep | (mask <= MASKED_FROM)).all()):
            raise RewriteRefused("its mask has other values than zero and minus infinity")
        if not bool(keep.any(-1).all()):
            raise RewriteRefused("a whole row is masked")
        if shape(value) != shape(node):
            raise RewriteRefused("the mask gives the sum its shape")
        return value, keep

    def rewrite(self, graph: Graph, node: fx.Node, plan: tuple[fx.Node, Tensor]) -> None:
        value, keep = plan
        chosen = graph.add_constant(keep, "keep", before=node)
        least = graph.add_constant(torch.tensor(MASKED), "masked", before=node)
        graph.replace(node, graph.call(aten.where.self, chosen, value, least, before=node))


REWRITE = MaskByWhere()
