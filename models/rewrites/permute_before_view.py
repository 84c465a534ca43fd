"""Between a map and its tokens: a view, then a permute  ->  a permute, then a view.

    transpose(flatten(x))       = flatten(permute(x))            (B, C, H, W) -> (B, H W, C)
    unflatten(transpose(x))     = permute(unflatten(x))          (B, H W, C) -> (B, C, H, W)

TFLite's maps are channel-last, so that its converter puts a permute beside each of torch's. In the second form the two
cancel, and a map and its tokens are the same memory; in the first a view is between them, and both copy the map.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, operator_name, shape, single_user, source
from .layout import TO_CHANNELS_FIRST, TO_CHANNELS_LAST, VIEWS, permutation
from .rewrite import Rewrite

aten = torch.ops.aten


@dataclass(frozen=True)
class Plan:
    """What the map or the tokens are made of, and the node that the result replaces."""

    value: fx.Node
    replaced: fx.Node


class PermuteBeforeView(Rewrite):
    name = "permute_before_view"
    reason = "a map in channel-last order and its tokens are the same memory; a view between two permutes hides it"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return permutation(node) == (0, 2, 1)

    def check(self, graph: Graph, node: fx.Node) -> Plan:
        before, after = source(node), single_user(node)
        if before.target in VIEWS and _is_map_of(source(before), shape(before)):
            return Plan(source(before), node)
        if after is not None and after.target in VIEWS and _is_map_of(after, shape(node)):
            return Plan(before, after)
        neighbour = operator_name(after) if after is not None else "several operators"
        raise RewriteRefused(f"it is between {operator_name(before)} and {neighbour}, and no view of a map")

    def rewrite(self, graph: Graph, node: fx.Node, plan: Plan) -> None:
        value, replaced = plan.value, plan.replaced
        if len(shape(value)) == 4:
            y = graph.call(aten.permute.default, value, list(TO_CHANNELS_LAST), before=replaced)
            y = graph.call(aten.reshape.default, y, list(shape(replaced)), before=replaced)
        else:
            batch, channels, height, width = shape(replaced)
            y = graph.call(aten.reshape.default, value, [batch, height, width, channels], before=replaced)
            y = graph.call(aten.permute.default, y, list(TO_CHANNELS_FIRST), before=replaced)
        graph.replace(replaced, y)


def _is_map_of(node: fx.Node, flat: tuple[int, ...]) -> bool:
    """Whether a value is (B, C, H, W) where its view `flat` is (B, C, H W)."""
    return len(shape(node)) == 4 and shape(node)[:2] == flat[:2]


REWRITE = PermuteBeforeView()
