"""A transposed convolution with groups -> a convolution of the small input and pixel shuffle.

With stride s and kernel k, output n = s m + r reads every s-th tap only:

    y[s m + r] = sum_j w[s j + r] x[m - j],    j = 0 .. J - 1,    J = ceil(k / s)

so the s*s phases r are s*s channels of one convolution with a kernel of J x J, which a shuffle lays out; padding p cuts the
first p rows and columns off. Where windows do not overlap (k = s) the convolution is 1x1 and nothing is cut.

TFLite has no transposed convolution with groups; its converter makes one a channel: 540 slices and 540 transposed
convolutions in EdgeViT-XXS.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, all_ints, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten


@dataclass(frozen=True)
class Phases:
    """A transposed convolution as phases.

    Attributes:
        rate: its stride, in both directions.
        taps: J.
        first: how many rows and columns are cut off at the start.
    """

    rate: int
    taps: int
    first: tuple[int, int]


class TransposedConvToShuffle(Rewrite):
    """Of all transposed convolutions with groups.

    Args:
        name, reason: see Rewrite.
        least_outputs: only those whose groups have so many outputs.
    """

    def __init__(self, name: str, reason: str, least_outputs: int = 1) -> None:
        self.name, self.reason, self._least_outputs = name, reason, least_outputs

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        if node.target != aten.conv_transpose2d.input or argument(node, 6) == 1:
            return False
        return shape(source(node, 1))[1] >= self._least_outputs

    def check(self, graph: Graph, node: fx.Node) -> Phases:
        weight = graph.constant(argument(node, 1))
        if weight is None:
            raise RewriteRefused("its weight is computed")
        height, width = weight.shape[2:]
        rates, dilations = all_ints(argument(node, 3), 2), all_ints(argument(node, 7), 2)
        if height != width or rates[0] != rates[1]:
            raise RewriteRefused("its windows or strides are not square")
        if dilations != (1, 1):
            raise RewriteRefused("its kernel is dilated")
        top, left = all_ints(argument(node, 4), 2)
        plan = Phases(rates[0], -(-height // rates[0]), (top, left))
        for first, cut, (old, new) in zip(
            plan.first, all_ints(argument(node, 5), 2), zip(shape(source(node))[2:], shape(node)[2:], strict=True),
            strict=True,
        ):  # fmt: skip
            if first + new > plan.rate * (old + plan.taps - 1):
                raise RewriteRefused(f"its output is padded by {cut} beyond what any window reaches")
        return plan

    def rewrite(self, graph: Graph, node: fx.Node, plan: Phases) -> None:
        weight, bias, groups = graph.constant(argument(node, 1)), graph.constant(argument(node, 2)), argument(node, 6)
        assert weight is not None
        rate, area = plan.rate, plan.rate**2
        kernel = graph.add_constant(_phases(weight, groups, plan), "spread_weight", before=node)
        b = None if bias is None else graph.add_constant(bias.repeat_interleave(area), "spread_bias", before=node)
        around = [plan.taps - 1] * 2
        y = graph.call(aten.conv2d.default, source(node), kernel, b, [1, 1], around, [1, 1], groups, before=node)
        # the shuffle in five dimensions: (B*C, r, r, h, w) -> (B*C, h, r, w, r)
        batch, channels, height, width = shape(node)
        _, _, h, w = shape(y)
        y = graph.call(aten.reshape.default, y, [batch * channels, rate, rate, h, w], before=node)
        y = graph.call(aten.permute.default, y, [0, 3, 1, 4, 2], before=node)
        y = graph.call(aten.reshape.default, y, [batch, channels, h * rate, w * rate], before=node)
        for axis, (first, size) in enumerate(zip(plan.first, (height, width), strict=True), start=2):
            if shape(y)[axis] != size:
                y = graph.call(aten.slice.Tensor, y, axis, first, first + size, before=node)
        graph.replace(node, y)


def _phases(weight: Tensor, groups: int, plan: Phases) -> Tensor:
    """(C_in, C_out/g, k, k) -> (C_out * r * r, C_in/g, J, J), channels in the order in which pixel_shuffle reads."""
    inputs, outputs, kernel, _ = weight.shape
    rate, taps = plan.rate, plan.taps
    missing = rate * taps - kernel
    # tap s j + r at [j, r]; a convolution runs through its taps the other way
    spread = F.pad(weight, (0, missing, 0, missing)).reshape(groups, inputs // groups, outputs, taps, rate, taps, rate)
    spread = spread.flip(3, 5).permute(0, 2, 4, 6, 1, 3, 5)
    return spread.reshape(groups * outputs * rate**2, inputs // groups, taps, taps)


REWRITE = TransposedConvToShuffle(
    "transposed_conv_to_shuffle",
    "TFLite has no transposed convolution with groups: its converter makes one operator a channel",
)
GROUPED = TransposedConvToShuffle(
    "grouped_transposed_conv_to_shuffle",
    "ONNX Runtime's quantizer has one scale for each output of a group, where each output needs its own",
    least_outputs=2,
)
