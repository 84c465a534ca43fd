"""A mean over a map's height and width  ->  the same over the map in channel-last order.

    mean(x, (2, 3)) = mean(permute(x, (0, 2, 3, 1)), (1, 2))

TFLite's maps are channel-last, so that its converter copies one into torch's order for the mean; here the two permutes
cancel.
"""

from __future__ import annotations

import torch
from torch import fx

from .graph import Graph, shape, source
from .layout import TO_CHANNELS_FIRST, TO_CHANNELS_LAST, is_mean_of_map
from .rewrite import Rewrite

aten = torch.ops.aten


class MeanOfChannelsLastMap(Rewrite):
    name = "mean_of_channels_last_map"
    reason = "TFLite's maps are channel-last; a mean over torch's order copies the map first"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return is_mean_of_map(node)

    def check(self, graph: Graph, node: fx.Node) -> None:
        pass

    def rewrite(self, graph: Graph, node: fx.Node, plan: None) -> None:
        keep = len(shape(node)) == 4
        y = graph.call(aten.permute.default, source(node), list(TO_CHANNELS_LAST), before=node)
        y = graph.call(aten.mean.dim, y, [1, 2], keep, before=node)
        graph.replace(node, graph.call(aten.permute.default, y, list(TO_CHANNELS_FIRST), before=node) if keep else y)


REWRITE = MeanOfChannelsLastMap()
