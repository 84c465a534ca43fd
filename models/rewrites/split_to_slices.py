"""split, chunk and unbind  ->  slices.

    a, b, c = split(x, sizes)      ->      a = x[0:s0],  b = x[s0:s0+s1],  c = x[s0+s1:]

ExecuTorch's XNNPACK has no split, TFLite's none of uneven parts; all delegates have slices. `split_qkv_projection` comes
first: it takes the splits of a linear layer's output.
"""

from __future__ import annotations

import operator

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten
SPLITS = (aten.split.Tensor, aten.split_with_sizes.default, aten.chunk.default)
UNBIND = aten.unbind.int


class SplitToSlices(Rewrite):
    name = "split_to_slices"
    reason = "no delegate has uneven splits, ExecuTorch's has none at all; all have slices"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target in (*SPLITS, UNBIND)

    def check(self, graph: Graph, node: fx.Node) -> int:
        if any(user.target is not operator.getitem for user in node.users):
            raise RewriteRefused("its parts are read as one list")
        return split_axis(node)

    def rewrite(self, graph: Graph, node: fx.Node, plan: int) -> None:
        x, sizes = source(node), part_sizes(node)
        for part in list(node.users):
            index = part.args[1]
            assert isinstance(index, int)
            start = sum(sizes[:index])
            y = graph.call(aten.slice.Tensor, x, plan, start, start + sizes[index], before=part)
            if node.target == UNBIND:
                y = graph.call(aten.reshape.default, y, list(shape(part)), before=part)
            graph.replace(part, y)


def part_sizes(node: fx.Node) -> list[int]:
    """The length of each part of a split along its axis."""
    return [1 if node.target == UNBIND else int(part.shape[split_axis(node)]) for part in node.meta["val"]]


def split_axis(node: fx.Node) -> int:
    """The axis of a split, counted from 0."""
    index = 1 if node.target == UNBIND else 2
    return int(argument(node, index)) % len(shape(source(node)))


REWRITE = SplitToSlices()
