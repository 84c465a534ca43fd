"""Unfold and fold of patches that do not overlap  ->  reshapes and a permutation.

    im2col(x, k, stride=k)    ->   (N, C, H/k, k, W/k, k) -> (N, C, k, k, H/k, W/k) -> (N, C k k, L)
    col2im(y, k, stride=k)    ->   the same backwards

Converters turn im2col into a padding by nothing, which XNNPACK refuses in int8, and gathers, and col2im into a scatter.
"""

from __future__ import annotations

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, all_ints, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten
UNFOLD, FOLD = aten.im2col.default, aten.col2im.default


class PatchesToReshape(Rewrite):
    name = "patches_to_reshape"
    reason = "runtimes gather and scatter patches value by value; those that do not overlap are a permutation"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target in (UNFOLD, FOLD)

    def check(self, graph: Graph, node: fx.Node) -> tuple[int, int]:
        first = 1 if node.target == UNFOLD else 2
        kernel, dilation, padding, stride = (all_ints(argument(node, first + index), 2) for index in range(4))
        if kernel != stride or set(dilation) != {1} or set(padding) != {0}:
            raise RewriteRefused("its patches overlap, or leave pixels out")
        height, width = shape(node if node.target == FOLD else source(node))[-2:]
        if height % kernel[0] or width % kernel[1]:
            raise RewriteRefused("its patches do not cover the map")
        return kernel[0], kernel[1]

    def rewrite(self, graph: Graph, node: fx.Node, plan: tuple[int, int]) -> None:
        x, (rows, columns) = source(node), plan
        image = shape(node if node.target == FOLD else x)
        *batch, channels, height, width = image
        batch, down, across = batch or [1], height // rows, width // columns
        if node.target == UNFOLD:
            sides, order = [*batch, channels, down, rows, across, columns], [0, 1, 3, 5, 2, 4]
        else:
            sides, order = [*batch, channels, rows, columns, down, across], [0, 1, 4, 2, 5, 3]
        y = graph.call(aten.reshape.default, x, sides, before=node)
        y = graph.call(aten.permute.default, y, order, before=node)
        graph.replace(node, graph.call(aten.reshape.default, y, list(shape(node)), before=node))


REWRITE = PatchesToReshape()
