"""A convolution over three axes  ->  one over two, with the third axis in the batch and its taps in the channels.

    conv3d(x, w)    ->    conv2d(x', w')    x (N, C, D, H, W),  w (O, C/groups, k, r, r)
                                            x' (N D', C k, H, W),  w' (O, C/groups k, r, r)

with D' positions of the output and x'[d, (c, j)] = x[c, d stride + j dilation], padded by zeros. Any of the three axes may
be the one that goes; the one with the fewest taps does. With one tap, as in the kernel (r, r, 1) of a lambda layer, x' is x
in another order.

ExecuTorch has no convolution over three axes: XNNPACK takes none, and the portable kernel refuses its input at run time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, all_ints, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten


@dataclass(frozen=True)
class Axis:
    """The axis that goes: which of the three, and how the kernel goes along it."""

    index: int
    taps: int
    stride: int
    padding: int
    dilation: int


class Conv3dToConv2d(Rewrite):
    name = "conv3d_to_conv2d"
    reason = "ExecuTorch has no convolution over three axes"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.conv3d.default

    def check(self, graph: Graph, node: fx.Node) -> Axis:
        if graph.constant(node.args[1]) is None:
            raise RewriteRefused("its weight is no constant")
        if len(shape(node)) != 5:
            raise RewriteRefused("its input has no batch")
        kernel = shape(source(node, 1))[2:]
        index = min(range(3), key=lambda axis: kernel[axis])
        stride, padding, dilation = (all_ints(argument(node, at), 3)[index] for at in (3, 4, 5))
        return Axis(index, kernel[index], stride, padding, dilation)

    def rewrite(self, graph: Graph, node: fx.Node, plan: Axis) -> None:
        weight = graph.constant(node.args[1])
        assert weight is not None
        outputs, channels = weight.shape[:2]
        kept = [axis for axis in range(3) if axis != plan.index]
        sides = [weight.shape[2 + axis] for axis in kept]
        flat = weight.movedim(2 + plan.index, 2).reshape(outputs, channels * plan.taps, *sides)
        strides, paddings, dilations = (
            [all_ints(argument(node, at), 3)[axis] for axis in kept] for at in (3, 4, 5)
        )  # fmt: skip
        y = graph.call(
            aten.conv2d.default, _images(graph, node, plan), graph.add_constant(flat, "flat", before=node),
            argument(node, 2), strides, paddings, dilations, argument(node, 6),
            before=node,
        )  # fmt: skip
        batch, depth = shape(node)[0], shape(node)[2 + plan.index]
        y = graph.call(aten.reshape.default, y, [batch, depth, *shape(y)[1:]], before=node)
        order = [0, 2, 3, 4]
        order.insert(2 + plan.index, 1)
        graph.replace(node, graph.call(aten.permute.default, y, order, before=node))


def _images(graph: Graph, node: fx.Node, axis: Axis) -> fx.Node:
    """(N, C, D, H, W) -> (N D', C k, H, W): for each position of the output the values that its taps read."""
    x, along = source(node), 2 + axis.index
    if axis.padding:
        pads = [0, 0] * (2 - axis.index) + [axis.padding] * 2
        x = graph.call(aten.pad.default, x, pads, before=node)
    order = [0, along, 1, *(other for other in (2, 3, 4) if other != along)]
    batch, channels = shape(x)[:2]
    height, width = (shape(x)[other] for other in order[3:])
    depth = shape(node)[along]
    taps = []
    for tap in range(axis.taps):
        first = tap * axis.dilation
        end = first + (depth - 1) * axis.stride + 1
        read = x
        if (first, end, axis.stride) != (0, shape(x)[along], 1):
            read = graph.call(aten.slice.Tensor, x, along, first, end, axis.stride, before=node)
        read = graph.call(aten.permute.default, read, order, before=node)
        sides = (
            [batch * depth, channels, height, width] if axis.taps == 1 else [batch * depth, channels, 1, height * width]
        )
        taps.append(graph.call(aten.reshape.default, read, sides, before=node))
    if axis.taps == 1:
        return taps[0]
    joined = graph.call(aten.cat.default, taps, 2, before=node)  # a channel's taps side by side, as groups need them
    return graph.call(aten.reshape.default, joined, [batch * depth, channels * axis.taps, height, width], before=node)


REWRITE = Conv3dToConv2d()
