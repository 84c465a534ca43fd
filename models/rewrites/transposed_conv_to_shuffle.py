"""A depthwise transposed convolution whose windows do not overlap -> depthwise 1x1 convolution and pixel shuffle.

With kernel = stride = r each output position has one input:

    y[c, i r + u, j r + v] = w[c, u, v] x[c, i, j] + b[c]

which is r*r values a position, made by a 1x1 convolution, and a shuffle that lays them out. TFLite has no transposed
convolution with groups; its converter makes one a channel: 540 slices and 540 transposed convolutions in EdgeViT-XXS.
"""

from __future__ import annotations

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, all_ints, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten


class TransposedConvToShuffle(Rewrite):
    name = "transposed_conv_to_shuffle"
    reason = "TFLite has no depthwise transposed convolution: its converter makes one operator a channel"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.conv_transpose2d.input and argument(node, 6) > 1

    def check(self, graph: Graph, node: fx.Node) -> int:
        weight = graph.constant(argument(node, 1))
        if weight is None:
            raise RewriteRefused("its weight is computed")
        channels, multiplier, height, width = weight.shape
        if argument(node, 6) != channels or multiplier != 1:
            raise RewriteRefused("its groups have more than one channel")
        if height != width or all_ints(argument(node, 3), 2) != (height, width):
            raise RewriteRefused("its windows overlap, have gaps, or are not square")
        if any(all_ints(argument(node, 4), 2)) or any(all_ints(argument(node, 5), 2)):
            raise RewriteRefused("it pads")
        return int(height)

    def rewrite(self, graph: Graph, node: fx.Node, plan: int) -> None:
        weight, bias = graph.constant(argument(node, 1)), graph.constant(argument(node, 2))
        assert weight is not None
        channels, area = weight.shape[0], plan * plan
        # (C, 1, r, r) -> (C*r*r, 1, 1, 1): the order in which pixel_shuffle reads
        kernel = graph.add_constant(weight.reshape(channels * area, 1, 1, 1), "spread_weight", before=node)
        b = None if bias is None else graph.add_constant(bias.repeat_interleave(area), "spread_bias", before=node)
        one, none = [1, 1], [0, 0]
        y = graph.call(aten.conv2d.default, source(node), kernel, b, one, none, one, channels, before=node)
        # the shuffle in five dimensions: (B*C, r, r, h, w) -> (B*C, h, r, w, r)
        batch, _, h, w = shape(y)
        y = graph.call(aten.reshape.default, y, [batch * channels, plan, plan, h, w], before=node)
        y = graph.call(aten.permute.default, y, [0, 3, 1, 4, 2], before=node)
        graph.replace(node, graph.call(aten.reshape.default, y, list(shape(node)), before=node))


REWRITE = TransposedConvToShuffle()
