"""Resize with its output size written down, or no resize at all.

A resize by a scale factor computes its size at run time and, in some runtimes, its sampling grid from the factor instead
of the sizes, which moves every sample where the two disagree. Here the shapes are fixed, so:

    resize(x, scale s)                   -> resize(x, size)      where size * 1/s is the input's size exactly
    resize(x, size of x)                 -> x
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten
# operator -> position of its scale factors
RESIZES: dict[Any, int] = {
    aten.upsample_bilinear2d.vec: 3,
    aten.upsample_bicubic2d.vec: 3,
    aten.upsample_nearest2d.vec: 2,
}


class ResizeToFixedSize(Rewrite):
    name = "resize_to_fixed_size"
    reason = "with the shapes fixed, a resize needs no scale factor, and often no resize"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        if node.target not in RESIZES:
            return False
        old = shape(source(node))[2:]
        return old == shape(node)[2:] or argument(node, RESIZES[node.target]) is not None

    def check(self, graph: Graph, node: fx.Node) -> str:
        old, size = shape(source(node))[2:], shape(node)[2:]
        factors = argument(node, RESIZES[node.target])
        exact = factors is None or all(side * f == new for side, f, new in zip(old, factors, size, strict=True))
        if not exact:
            # torch samples with the given factor, not with the ratio of sizes: a fixed size would sample elsewhere
            raise RewriteRefused(f"the factors {list(factors)} do not give whole sizes from {list(old)}")
        return "drop" if old == size else "size"

    def rewrite(self, graph: Graph, node: fx.Node, plan: str) -> None:
        x = source(node)
        if plan == "drop":
            graph.replace(node, x)
        else:
            corners = [argument(node, 2)] if RESIZES[node.target] == 3 else []
            assert callable(node.target)
            new = graph.call(node.target, x, list(shape(node)[2:]), *corners, None, before=node)
            graph.replace(node, new)


REWRITE = ResizeToFixedSize()
