"""An operator that broadcasts over five dimensions or more  ->  the same with neighbours joined, in at most four.

    (B, H, W, 1, s) + (B, H, W, s, 1)    ->    (B H W, 1, s) + (B H W, s, 1)

Neighbouring dimensions are one where each operand has both or broadcasts over both. It is the sum of two position biases,
one by rows and one by columns, for each query of a map. TFLite's operators broadcast over four dimensions; of equal shapes
they take any.
"""

from __future__ import annotations

import math
from itertools import groupby

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, is_elementwise, shape
from .rewrite import Rewrite

aten = torch.ops.aten
RANK = 4
Groups = list[list[int]]


class JoinBroadcastDims(Rewrite):
    name = "join_broadcast_dims"
    reason = "TFLite's operators broadcast over four dimensions only"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        if not is_elementwise(node) or len(shape(node)) <= RANK:
            return False
        return any(shape(operand) != shape(node) for operand in _operands(node))

    def check(self, graph: Graph, node: fx.Node) -> Groups:
        """The dimensions of the result that become one each."""
        rank = len(shape(node))
        sides = [_padded(shape(operand), rank) for operand in _operands(node)]
        longer = [axis for axis in range(rank) if shape(node)[axis] != 1]
        groups = [list(run) for _, run in groupby(longer, key=lambda axis: [side[axis] == 1 for side in sides])]
        if len(groups) > RANK:
            raise RewriteRefused(f"it broadcasts over {len(groups)} dimensions in different ways")
        return groups

    def rewrite(self, graph: Graph, node: fx.Node, plan: Groups) -> None:
        rank = len(shape(node))
        joined: dict[fx.Node, fx.Node] = {}
        for operand in _operands(node):
            sides = _padded(shape(operand), rank)
            merged = [math.prod(sides[axis] for axis in group) for group in plan]
            joined[operand] = graph.call(aten.reshape.default, operand, merged, before=node)
        assert callable(node.target)
        args = [joined[value] if isinstance(value, fx.Node) else value for value in node.args]
        y = graph.call(node.target, *args, before=node, **node.kwargs)
        graph.replace(node, graph.call(aten.reshape.default, y, list(shape(node)), before=node))


def _operands(node: fx.Node) -> list[fx.Node]:
    return [value for value in node.args if isinstance(value, fx.Node)]


def _padded(sides: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """A shape with as many dimensions as the result."""
    return (1,) * (rank - len(sides)) + sides


REWRITE = JoinBroadcastDims()
