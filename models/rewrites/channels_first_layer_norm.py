"""permute -> layer_norm -> permute,  over the channels of a map  ->  two 1x1 convolutions and elementwise operators.

    mean     m = K * x              K: a 1x1 convolution with C inputs, one output and all weights 1/C
    centred  d = x - m
    norm     y = d / sqrt(K * d^2 + eps) * gain + bias

The map stays channel-first. The means are convolutions because that is the one reduction over channels that every
channel-first runtime has a fast kernel for: XNNPACK in ExecuTorch takes means over height and width alone, so a mean over
channels (and `native_layer_norm` itself) ends the delegate and computes in a portable kernel.

Aarch64 instructions of one ConvNeXt block at 64 channels, 48x48 (cortex-a76, emulated, one thread, millions):

                                                ONNX Runtime   ExecuTorch   LiteRT
    permute, layer_norm, linear, permute        43.4           36.4         33.2
    mean over dimension 1, 1x1 convolutions     43.7           38.8         32.9
    this                                        42.2           34.9         33.1

TFLite is channel-last, so the permutes there are its converter's own and cancel; it keeps the layer_norm, and so do int8
targets: squares and their means do not fit into eight bits.

It applies where the permute back follows, through layers that `linear_to_conv` and `cancel_permutes` can then make
channel-first as well.
"""

from __future__ import annotations

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, operator_name, shape, single_user, source
from .layer_norm import Norm, norm_by_layers, norm_over_channels
from .layout import TO_CHANNELS_FIRST, TO_CHANNELS_LAST, passes, permutation, sink
from .rewrite import Rewrite

aten = torch.ops.aten


class ChannelsFirstLayerNorm(Rewrite):
    name = "channels_first_layer_norm"
    reason = "a norm over channels needs no permutes, and as convolutions it stays inside the delegate"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.layer_norm.default and permutation(source(node)) == TO_CHANNELS_LAST

    def check(self, graph: Graph, node: fx.Node) -> Norm:
        norm = norm_over_channels(graph, node)
        value: fx.Node = node
        while (user := single_user(value)) is not None and _can_be_channel_first(graph, user, value):
            value = user
        if user is None:
            raise RewriteRefused("several operators read it, in channel-last order")
        if permutation(user) != TO_CHANNELS_FIRST:
            raise RewriteRefused(f"what follows, {operator_name(user)}, needs channels last")
        return norm

    def rewrite(self, graph: Graph, node: fx.Node, plan: Norm) -> None:
        x = source(source(node))
        y = norm_by_layers(graph, x, plan, aten.conv2d.default, (1, shape(x)[1], 1, 1), before=node)
        last = graph.call(aten.permute.default, y, list(TO_CHANNELS_LAST), before=node)
        graph.replace(node, last)
        sink(graph, last)


def _can_be_channel_first(graph: Graph, node: fx.Node, value: fx.Node) -> bool:
    if node.target == aten.linear.default:
        return node.args[0] is value and graph.constant(argument(node, 1)) is not None
    return passes(graph, node, value)


REWRITE = ChannelsFirstLayerNorm()
