"""reshape -> permute of five or six dimensions -> reshape  becomes the same with four, or fewer.

Dimensions that stay neighbours in a permute count as one, and dimensions of length 1 as none. The partition of a map
into windows, at B*H/7 = 8 rows of windows:

    (B, 8, 7, 8, 7, C) -> (0, 1, 3, 2, 4, 5)      is      (B*8, 7, 8, 7*C) -> (0, 2, 1, 3)

XNNPACK transposes up to six dimensions, GPU and NPU delegates four, and a kernel with fewer loops has longer ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, shape, single_user, source
from .layout import VIEWS, permutation
from .rewrite import Rewrite

aten = torch.ops.aten
RANK = 4


@dataclass(frozen=True)
class Merged:
    """The permute's input with neighbours merged, and the permute on that."""

    sides: list[int]
    order: list[int]


class CollapsePermuteDims(Rewrite):
    name = "collapse_permute_dims"
    reason = "delegates beyond XNNPACK take four dimensions, and fewer dimensions mean longer rows"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return permutation(node) is not None and len(shape(node)) > RANK

    def check(self, graph: Graph, node: fx.Node) -> Merged:
        order = permutation(node)
        assert order is not None
        merged = merge(shape(source(node)), order)
        if len(merged.sides) > RANK:
            raise RewriteRefused(f"it moves {len(merged.sides)} dimensions in different directions")
        view = source(node).target in VIEWS
        user = single_user(node)
        if not view or user is None or user.target not in VIEWS:
            raise RewriteRefused(f"its neighbours need {len(order)} dimensions")
        return merged

    def rewrite(self, graph: Graph, node: fx.Node, plan: Merged) -> None:
        x = source(source(node))
        y = graph.call(aten.reshape.default, x, plan.sides, before=node)
        if plan.order != sorted(plan.order):
            y = graph.call(aten.permute.default, y, plan.order, before=node)
        user = single_user(node)
        assert user is not None
        graph.replace(user, graph.call(aten.reshape.default, y, list(shape(user)), before=user))


def merge(sides: tuple[int, ...], order: tuple[int, ...]) -> Merged:
    """The fewest dimensions that do the same permute."""
    kept = [axis for axis in order if sides[axis] != 1]
    runs: list[list[int]] = []
    for axis in kept:
        follows = runs and all(sides[between] == 1 for between in range(runs[-1][-1] + 1, axis)) and axis > runs[-1][-1]
        if follows:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    in_input_order = sorted(range(len(runs)), key=lambda run: runs[run][0])
    lengths = [math.prod(sides[axis] for axis in runs[run]) for run in in_input_order]
    return Merged(lengths or [1], [in_input_order.index(run) for run in range(len(runs))] or [0])


REWRITE = CollapsePermuteDims()
