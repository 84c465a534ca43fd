"""A pooling with kernel 1 and stride r -> the stride of the 1x1 convolution that reads it, or of one that copies.

Such a pooling (EdgeViT's sparse grid) takes the top-left position of every r x r window and computes nothing.

    conv1x1(pick(x))  ->  conv1x1 with stride r           the pick is free
    pick(x)           ->  a depthwise 1x1 convolution with stride r and all weights 1

Aarch64 instructions of 3x3 depthwise, pick (r = 4), 1x1 convolution, on 36 channels, 56x56 (cortex-a76, emulated, one
thread, millions):

                              ONNX Runtime   ExecuTorch   LiteRT
    pooling                   2.24           1.90         1.75
    strided slice             2.00           2.36         3.57
    depthwise convolution     1.94           1.87         1.62

A strided slice ends ExecuTorch's delegate, and no CPU delegate has an int8 average pooling.
"""

from __future__ import annotations

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, all_ints, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten
POOLS = (aten.avg_pool2d.default, aten.max_pool2d.default)


class Pool1x1ToStride(Rewrite):
    name = "pool1x1_to_stride"
    reason = "a pooling of kernel 1 only picks positions, which a convolution's stride does for free"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target in POOLS and all_ints(argument(node, 1), 2) == (1, 1)

    def check(self, graph: Graph, node: fx.Node) -> tuple[int, int]:
        if len(shape(node)) != 4:
            raise RewriteRefused("its input has no batch dimension")
        if any(all_ints(argument(node, 3), 2)):
            raise RewriteRefused("it pads")
        if node.target == aten.avg_pool2d.default and argument(node, 6) is not None:
            raise RewriteRefused("it divides by another number than 1")
        # no stride means the kernel's
        return tuple(all_ints(argument(node, 2) or [1], 2))  # type: ignore[return-value]

    def rewrite(self, graph: Graph, node: fx.Node, plan: tuple[int, int]) -> None:
        x = source(node)
        channels = shape(x)[1]
        if plan == (1, 1):
            graph.replace(node, x)
        elif all(_is_pointwise(user, node) for user in node.users):
            for user in list(node.users):
                args = list(user.args) + [None] * (4 - len(user.args))
                args[0], args[3] = x, list(plan)
                user.args = tuple(args)
            graph.erase_if_unused(node)
        else:
            ones = graph.add_constant(torch.ones(channels, 1, 1, 1), "pick", before=node)
            stride, none = list(plan), [0, 0]
            picked = graph.call(aten.conv2d.default, x, ones, None, stride, none, [1, 1], channels, before=node)
            graph.replace(node, picked)


def _is_pointwise(node: fx.Node, value: fx.Node) -> bool:
    """A 1x1 convolution of `value` without stride or padding."""
    if node.target != aten.conv2d.default or node.args[0] is not value or node.kwargs:
        return False
    weight = argument(node, 1)
    return (
        shape(weight)[2:] == (1, 1)
        and all_ints(argument(node, 3), 2) == (1, 1)
        and not any(all_ints(argument(node, 4), 2))
    )


REWRITE = Pool1x1ToStride()
