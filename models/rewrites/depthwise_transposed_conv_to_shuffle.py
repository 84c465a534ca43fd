"""A depthwise transposed convolution whose windows do not overlap -> depthwise 1x1 convolution and a shuffle of positions.

With kernel = stride = r each output position has one input:

    y[c, i r + u, j r + v] = w[c, u, v] x[c, i, j] + b[c]

which is r*r values a position, made by a 1x1 convolution of the input r*r times in a row, and a shuffle that lays them out.
The channels of a position stay side by side, so on a channel-last runtime the shuffle moves r*C values at a time. By
`transposed_conv_to_shuffle`, which takes what is declined here, it moves single ones there: 0.6 million Arm instructions
for 36 channels at 56x56, and the convolution is one with a group a channel, not a depthwise one.
"""

from __future__ import annotations

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, all_ints, argument, shape, source
from .layout import TO_CHANNELS_FIRST, TO_CHANNELS_LAST
from .rewrite import Rewrite

aten = torch.ops.aten


class DepthwiseTransposedConvToShuffle(Rewrite):
    name = "depthwise_transposed_conv_to_shuffle"
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

    def rewrite(self, graph: Graph, node: fx.Node, rate: int) -> None:
        weight, bias = graph.constant(argument(node, 1)), graph.constant(argument(node, 2))
        assert weight is not None
        channels, area = weight.shape[0], rate * rate
        y = source(node)
        for _ in range(2):  # twice r times: delegates take few operands
            y = graph.call(aten.cat.default, [y] * rate, 1, before=node)
        # (C, 1, r, r) -> (r*r*C, 1, 1, 1)
        kernel = graph.add_constant(weight.permute(2, 3, 0, 1).reshape(area * channels, 1, 1, 1), "spread", before=node)
        b = None if bias is None else graph.add_constant(bias.repeat(area), "spread_bias", before=node)
        y = graph.call(aten.conv2d.default, y, kernel, b, [1, 1], [0, 0], [1, 1], area * channels, before=node)
        # (B, h, w, r, r*C) -> (B, h, r, w, r*C)
        batch, _, h, w = shape(y)
        y = graph.call(aten.permute.default, y, list(TO_CHANNELS_LAST), before=node)
        y = graph.call(aten.reshape.default, y, [batch, h, w, rate, rate * channels], before=node)
        y = graph.call(aten.permute.default, y, [0, 1, 3, 2, 4], before=node)
        y = graph.call(aten.reshape.default, y, [batch, h * rate, w * rate, channels], before=node)
        graph.replace(node, graph.call(aten.permute.default, y, list(TO_CHANNELS_FIRST), before=node))


REWRITE = DepthwiseTransposedConvToShuffle()
