"""A mean over a map's height and width that drops both  ->  one that keeps them, and a view.

    mean(x, (2, 3)) = view(mean(x, (2, 3), keepdim), (B, C))

ExecuTorch's XNNPACK delegate takes the second alone, as global average pooling. The first is computed outside, which also
parts what is before it from what is behind.
"""

from __future__ import annotations

import torch
from torch import fx

from .graph import Graph, shape, source
from .layout import is_mean_of_map
from .rewrite import Rewrite

aten = torch.ops.aten


class MeanToKeepdim(Rewrite):
    name = "mean_to_keepdim"
    reason = "ExecuTorch's delegate takes a mean over height and width only where it keeps both dimensions"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return is_mean_of_map(node) and len(shape(node)) == 2

    def check(self, graph: Graph, node: fx.Node) -> None:
        pass

    def rewrite(self, graph: Graph, node: fx.Node, plan: None) -> None:
        y = graph.call(aten.mean.dim, source(node), [2, 3], True, before=node)
        graph.replace(node, graph.call(aten.reshape.default, y, list(shape(node)), before=node))


REWRITE = MeanToKeepdim()
