"""A convolution of few channels with a horizontal stride of 2 -> one of stride 1 over pairs of columns.

    (B, H, W, C) = (B, H, W/2, 2 C)          the same memory in NHWC
    kernel (h, k), stride (s, 2)  ->  kernel (h, (k+1)/2), stride (s, 1), over 2 C channels; a column of zeros completes
                                      the kernel's pairs, in front where the padding is odd

XNNPACK's int8 products loop over the kernel's positions, in steps of 4 channels. A 3x3 over 3 channels takes 9 positions of
one step, over pairs 6 of two: 3 to 16 channels at 512x512 were 9.14 million Arm instructions and are 8.80.
merge_patch_columns.py has the convolutions whose windows do not overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, all_ints, argument, shape, source
from .layout import TO_CHANNELS_FIRST, TO_CHANNELS_LAST
from .rewrite import Rewrite

aten = torch.ops.aten
MOST_CHANNELS = 4  # of one step; more of them are multiplied by the zeros


@dataclass(frozen=True)
class Plan:
    """The kernel over pairs (outputs, 2 C, h, (k+1)/2), and the pairs to pad on the left and the right."""

    kernel: Tensor
    left: int
    right: int


class MergeStemColumns(Rewrite):
    name = "merge_stem_columns"
    reason = "fewer kernel positions of more channels; in NHWC a pair of columns is the same memory"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        if node.target != aten.conv2d.default or len(shape(node)) != 4 or argument(node, 6) != 1:
            return False
        _, channels, _, width = shape(argument(node, 1))
        return channels <= MOST_CHANNELS and width > 2 and all_ints(argument(node, 3), 2)[1] == 2

    def check(self, graph: Graph, node: fx.Node) -> Plan:
        weight = graph.constant(argument(node, 1))
        if weight is None:
            raise RewriteRefused("its weight is computed")
        if all_ints(argument(node, 5), 2)[1] != 1:
            raise RewriteRefused("it dilates its columns")
        outputs, channels, rows, width = weight.shape
        columns, padding = shape(source(node))[3], all_ints(argument(node, 4), 2)[1]
        if columns % 2 or width % 2 == 0:
            raise RewriteRefused("its input or its kernel has no whole pairs of columns")
        pairs, left = (width + 1) // 2, (padding + 1) // 2
        right = shape(node)[3] - left + pairs - 1 - columns // 2
        if right < 0:
            raise RewriteRefused("its windows leave columns over")
        full = torch.nn.functional.pad(weight, (1, 0) if padding % 2 else (0, 1))
        # (N, C, h, 2 pairs) -> (N, 2 C, h, pairs): channel j C + c of a pair is channel c of its column j
        kernel = full.reshape(outputs, channels, rows, pairs, 2).permute(0, 4, 1, 2, 3)
        return Plan(kernel.reshape(outputs, 2 * channels, rows, pairs), left, right)

    def rewrite(self, graph: Graph, node: fx.Node, plan: Plan) -> None:
        x = source(node)
        batch, channels, height, columns = shape(x)
        stride, padding, dilation = (all_ints(argument(node, index), 2)[0] for index in (3, 4, 5))
        y = graph.call(aten.permute.default, x, list(TO_CHANNELS_LAST), before=node)
        y = graph.call(aten.reshape.default, y, [batch, height, columns // 2, 2 * channels], before=node)
        sides = [0, 0, plan.left, plan.right, padding, padding]
        if any(sides):
            y = graph.call(aten.constant_pad_nd.default, y, sides, before=node)
        y = graph.call(aten.permute.default, y, list(TO_CHANNELS_FIRST), before=node)
        kernel = graph.add_constant(plan.kernel, "pairs", before=node)
        y = graph.call(
            aten.conv2d.default, y, kernel, argument(node, 2), [stride, 1], [0, 0], [dilation, 1], before=node
        )
        graph.replace(node, y)


REWRITE = MergeStemColumns()
