"""A convolution whose windows do not overlap horizontally -> one of width 1 over merged columns.

With kernel width = stride r, a window's row is r neighbouring pixels, which lie side by side in an NHWC tensor:

    (B, H, W, C) = (B, H, W/r, r C)          the same memory
    kernel (h, r), stride (s, r)  ->  kernel (h, 1), stride (s, 1), over r C channels

XNNPACK's indirect product loops over the kernel's positions; with few channels the loop costs more than the products.
A stem of 4x4 at stride 4 has 4 positions of 12 channels instead of 16 of 3.
"""

from __future__ import annotations

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, all_ints, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten


class MergePatchColumns(Rewrite):
    name = "merge_patch_columns"
    reason = "fewer kernel positions of more channels; in NHWC the merged columns are the same memory"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        if node.target != aten.conv2d.default or len(shape(node)) != 4 or argument(node, 6) != 1:
            return False
        width = shape(argument(node, 1))[3]
        return width > 1 and all_ints(argument(node, 3), 2)[1] == width

    def check(self, graph: Graph, node: fx.Node) -> None:
        if graph.constant(argument(node, 1)) is None:
            raise RewriteRefused("its weight is computed")
        if all_ints(argument(node, 4), 2)[1] or all_ints(argument(node, 5), 2)[1] != 1:
            raise RewriteRefused("it pads or dilates its columns")
        if shape(source(node))[3] % shape(argument(node, 1))[3]:
            raise RewriteRefused("its windows leave columns over")

    def rewrite(self, graph: Graph, node: fx.Node, plan: None) -> None:
        weight, x = graph.constant(argument(node, 1)), source(node)
        assert weight is not None
        (batch, channels, height, columns), (outputs, _, rows, width) = shape(x), weight.shape
        # (N, C, h, r) -> (N, r C, h, 1): channel j C + c of a merged column is channel c of its pixel j
        kernel = graph.add_constant(
            weight.permute(0, 3, 1, 2).reshape(outputs, width * channels, rows, 1), "merged", before=node
        )
        y = graph.call(aten.permute.default, x, [0, 2, 3, 1], before=node)
        merged = [batch, height, columns // width, width * channels]
        y = graph.call(aten.reshape.default, y, merged, before=node)
        y = graph.call(aten.permute.default, y, [0, 3, 1, 2], before=node)
        stride, padding, dilation = (all_ints(argument(node, index), 2) for index in (3, 4, 5))
        y = graph.call(
            aten.conv2d.default,
            y,
            kernel,
            argument(node, 2),
            [stride[0], 1],
            [padding[0], 0],
            [dilation[0], 1],
            before=node,
        )
        graph.replace(node, y)


REWRITE = MergePatchColumns()
