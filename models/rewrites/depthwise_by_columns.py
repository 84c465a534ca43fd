"""A depthwise convolution (kh, kw)  ->  one (kh, 1) for each of its columns, and the sum of the results, shifted.

    z_k = w[:, k] * x                      a convolution of kw outputs for each channel
    y(r, c) = sum_k z_k(r, s c + k - p) + b

ONNX Runtime computes a float depthwise convolution on Arm as a matrix product with one row: it copies every tap of every
output first, one by one where the stride is 2. Here it copies kh values instead of kh kw, and has kw rows.

The shifts cost nothing: kw maps of L values one after the other, read as rows of L - 1 values, are the maps shifted by one
each. The p zeros between the rows of a map serve both of them. Their sum is a 1x1 convolution, which also adds the bias and
takes the activation after it.

Arm instructions an output of a large map: 5x5 from 70 to 34, 3x3 with stride 2 from 70 to about 52. Not for x86, where ONNX
Runtime has a depthwise kernel: 7x7 by 64 channels at 64x64 takes 0.18 ms, and 0.95 ms so.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, all_ints, argument, shape, single_user, source
from .rewrite import Rewrite

aten = torch.ops.aten
# What ONNX Runtime fuses into a convolution.
FUSED = (aten.relu.default, aten.relu6.default, aten.hardtanh.default, aten.clamp.default)


@dataclass(frozen=True)
class Plan:
    """Of a depthwise convolution: weight (C, 1, kh, kw), bias (C,) or None, strides and padding."""

    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, ...]
    padding: tuple[int, ...]


class DepthwiseByColumns(Rewrite):
    name = "depthwise_by_columns"
    reason = (
        "ONNX Runtime on Arm copies each tap of a depthwise convolution; by columns it copies a kernel's height of them"
    )

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        if node.target != aten.conv2d.default or len(shape(node)) != 4:
            return False
        channels, kernel = shape(source(node))[1], shape(argument(node, 1))
        return argument(node, 6) == channels == kernel[0] > 1 and kernel[3] > 1

    def check(self, graph: Graph, node: fx.Node) -> Plan:
        weight, bias = graph.constant(argument(node, 1)), graph.constant(argument(node, 2))
        if weight is None or (argument(node, 2) is not None and bias is None):
            raise RewriteRefused("its weight or bias is computed")
        if all_ints(argument(node, 5), 2) != (1, 1):
            raise RewriteRefused("it is dilated")
        stride, padding = all_ints(argument(node, 3), 2), all_ints(argument(node, 4), 2)
        if padding[1] > weight.shape[3] - 2:
            raise RewriteRefused("it pads as much as its kernel covers")
        if weight.shape[2] * weight.shape[3] <= 9 and stride[1] == 1:
            raise RewriteRefused("with few taps and stride 1 it costs no more as it is")
        return Plan(weight, bias, stride, padding)

    def rewrite(self, graph: Graph, node: fx.Node, plan: Plan) -> None:
        last, user = node, single_user(node)
        if user is not None and user.target in FUSED:
            last = user

        def call(operator: object, *args: object) -> fx.Node:
            assert callable(operator)
            return graph.call(operator, *args, before=node)

        x = source(node)
        batch, channels = shape(x)[:2]
        _, _, height, kw = plan.weight.shape
        (rows, across), pad = plan.stride, plan.padding[1]
        # the last column first: row k of the shifted maps starts one value earlier than the row before
        columns = plan.weight.flip(3).permute(0, 3, 1, 2).reshape(channels * kw, 1, height, 1)
        wide = call(aten.constant_pad_nd.default, x, [0, pad]) if pad else x
        held = graph.add_constant(columns, "columns", before=node)
        maps = call(aten.conv2d.default, wide, held, None, [rows, 1], [plan.padding[0], 0], [1, 1], channels)
        tall, pitch = shape(maps)[2:]
        size = tall * pitch
        flat = call(aten.reshape.default, maps, [batch, channels, kw * size])
        first = kw - 1 - pad
        flat = call(aten.slice.Tensor, flat, 2, first, first + kw * (size - 1))
        shifted = call(aten.reshape.default, flat, [batch, channels * kw, 1, size - 1])
        ones = graph.add_constant(torch.ones(channels, kw, 1, 1), "ones", before=node)
        bias = None if plan.bias is None else graph.add_constant(plan.bias, "bias", before=node)
        y = call(aten.conv2d.default, shifted, ones, bias, [1, 1], [0, 0], [1, 1], channels)
        if last is not node:
            y = graph.call(last.target, y, *last.args[1:], before=node, **last.kwargs)  # type: ignore[arg-type]
        y = call(aten.constant_pad_nd.default, y, [0, 1])
        y = call(aten.reshape.default, y, [batch, channels, tall, pitch])
        if across > 1:
            pick = graph.add_constant(torch.ones(channels, 1, 1, 1), "pick", before=node)
            y = call(aten.conv2d.default, y, pick, None, [1, across], [0, 0], [1, 1], channels)
        y = call(aten.slice.Tensor, y, 3, 0, shape(node)[3])
        assert shape(y) == shape(node)
        graph.replace(last, y)


REWRITE = DepthwiseByColumns()
