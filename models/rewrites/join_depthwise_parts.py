"""Depthwise convolutions of parts of the channels, put together with the other parts  ->  one of all channels.

    cat(w * x[:n], x[n:])  =  (w, d) * x        d is 1 at its centre and 0 elsewhere

In int8 the parts that no convolution reads are cut out, given the scale of the others and copied beside them, and a
convolution of few channels fills its tiles of 16 badly. One of 24 channels beside 24 others at 32x32 took 420 thousand
Arm instructions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, all_ints, argument, shape, single_user, source
from .rewrite import Rewrite

aten = torch.ops.aten
MOST_TAPS = 9  # of which each channel that was only copied costs all


@dataclass(frozen=True)
class Part:
    """Some consecutive channels of a map, and the kernel (n, 1, h, w) and bias of what they go through, if anything."""

    x: fx.Node
    first: int
    end: int
    kernel: Tensor | None = None
    bias: Tensor | None = None
    dilation: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Plan:
    """What the one convolution reads, its kernel (C, 1, h, w), bias and dilation."""

    x: fx.Node
    kernel: Tensor
    bias: Tensor
    dilation: tuple[int, int]


class JoinDepthwiseParts(Rewrite):
    name = "join_depthwise_parts"
    reason = "one convolution costs less than cutting, rescaling and copying the channels beside it"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        if node.target != aten.cat.default or len(shape(node)) != 4 or argument(node, 1, 0) % 4 != 1:
            return False
        return any(value.target == aten.conv2d.default for value in node.args[0])  # type: ignore[union-attr]

    def check(self, graph: Graph, node: fx.Node) -> Plan:
        parts = [_part(graph, value) for value in node.args[0]]  # type: ignore[union-attr, arg-type]
        if len({part.x for part in parts}) > 1:
            raise RewriteRefused("its parts are of more than one map")
        ends = [0, *(part.end for part in parts)]
        if [part.first for part in parts] != ends[:-1] or ends[-1] != shape(parts[0].x)[1]:
            raise RewriteRefused("its parts are not all of a map in its order")
        convolved = [part for part in parts if part.kernel is not None]
        dilations = {part.dilation for part in convolved}
        if len(dilations) > 1:
            raise RewriteRefused("its convolutions have different dilations")
        sides = [max(part.kernel.shape[axis] for part in convolved if part.kernel is not None) for axis in (2, 3)]
        if sides[0] * sides[1] > MOST_TAPS:
            raise RewriteRefused(f"its kernel has more than {MOST_TAPS} taps, which the other channels would cost too")
        if 2 * sum(part.end - part.first for part in convolved) < ends[-1]:
            raise RewriteRefused("most channels are only copied")
        kernel, bias = torch.zeros(ends[-1], 1, *sides), torch.zeros(ends[-1])
        for part in parts:
            inner = torch.ones(part.end - part.first, 1, 1, 1) if part.kernel is None else part.kernel
            top, left = ((side - inner.shape[axis]) // 2 for side, axis in zip(sides, (2, 3), strict=True))
            kernel[part.first : part.end, :, top : top + inner.shape[2], left : left + inner.shape[3]] = inner
            if part.bias is not None:
                bias[part.first : part.end] = part.bias
        return Plan(parts[0].x, kernel, bias, dilations.pop())

    def rewrite(self, graph: Graph, node: fx.Node, plan: Plan) -> None:
        kernel, bias = (graph.add_constant(values, "joined", before=node) for values in (plan.kernel, plan.bias))
        padding = [_same(*sides) for sides in zip(plan.kernel.shape[2:], plan.dilation, strict=True)]
        channels, dilation = len(plan.bias), list(plan.dilation)
        y = graph.call(aten.conv2d.default, plan.x, kernel, bias, [1, 1], padding, dilation, channels, before=node)
        graph.replace(node, y)


def _part(graph: Graph, value: fx.Node) -> Part:
    """A slice of channels, or a depthwise convolution of one that keeps its size."""
    if value.target == aten.slice.Tensor:
        x, size = source(value), len(shape(value))
        if argument(value, 1, 0) % size == 1 and argument(value, 4, 1) == 1:
            first = argument(value, 2) or 0
            first += shape(x)[1] if first < 0 else 0
            return Part(x, first, first + shape(value)[1])
    if value.target != aten.conv2d.default:
        raise RewriteRefused("one of its parts is neither channels of a map nor a convolution of them")
    weight, bias = (None if index is None else graph.constant(index) for index in (value.args[1], argument(value, 2)))
    if weight is None or (argument(value, 2) is not None and bias is None):
        raise RewriteRefused("a weight is computed")
    if weight.shape[1] != 1 or argument(value, 6) != weight.shape[0] or single_user(value) is None:
        raise RewriteRefused("a convolution is not depthwise, or something else reads it")
    stride, padding, dilation = (all_ints(argument(value, index), 2) for index in (3, 4, 5))
    keeps = all(
        side % 2 and p == _same(side, d) for side, p, d in zip(weight.shape[2:], padding, dilation, strict=True)
    )
    if stride != (1, 1) or not keeps:
        raise RewriteRefused("a convolution does not keep the map's size")
    if source(value).target != aten.slice.Tensor:
        raise RewriteRefused("a convolution reads more than channels of the map")
    part = _part(graph, source(value))
    return Part(part.x, part.first, part.end, weight, bias, (dilation[0], dilation[1]))


def _same(side: int, dilation: int) -> int:
    """The padding that keeps a size."""
    return (side - 1) * dilation // 2


REWRITE = JoinDepthwiseParts()
