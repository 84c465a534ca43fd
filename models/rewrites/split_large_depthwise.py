"""A depthwise convolution of more than 25 taps -> the sum of ones of at most 25, by rows of the kernel.

    w * x  =  w[0:n] * x  +  w[n:2n] * x (n rows further down)  +  ...        n = floor(25 / kernel width)

A 7x7 kernel becomes 3x7, 3x7 and 1x7; a 9x9 one four 2x9 and one 1x9. XNNPACK has depthwise kernels for up to 25 taps;
a larger one runs as a grouped matrix product, whose groups have one channel each. Aarch64 instructions of a 7x7 on 88
channels at 16x16 in int8: 12.9 million, of which 4.4 million are dot products; 49 multiply-accumulates an output in
sixteens are 0.07.

There are two forms, because runtimes accept different ones:

- `split_large_depthwise` pads once and cuts rows of the input; the parts do not pad.
- `split_large_depthwise_cut_outputs` lets every part pad like the whole, and cuts rows of its output. ExecuTorch's delegate
  takes no quantized pad.

The bias is in the last part. In int8 each part's sum has a scale of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, all_ints, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten
MOST_TAPS = 25  # of XNNPACK's depthwise kernels


@dataclass(frozen=True)
class Plan:
    """Padding above and below, left and right; (first row, number of rows) of each part."""

    padding: tuple[int, int]
    parts: tuple[tuple[int, int], ...]


class SplitLargeDepthwise(Rewrite):
    """The rewrite in one of its forms.

    Args:
        name: as it is listed.
        cut_outputs: the form without a pad.
    """

    reason = "CPU delegates have depthwise kernels for at most 25 taps; larger ones run as a grouped matrix product"

    def __init__(self, name: str, *, cut_outputs: bool) -> None:
        self.name = name
        self._cut_outputs = cut_outputs

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        if node.target != aten.conv2d.default or argument(node, 6) == 1:
            return False
        _, per_group, height, width = shape(argument(node, 1))
        return per_group == 1 and height * width > MOST_TAPS

    def check(self, graph: Graph, node: fx.Node) -> Plan:
        weight = graph.constant(argument(node, 1))
        if weight is None:
            raise RewriteRefused("its weight is computed")
        channels, _, height, width = weight.shape
        if argument(node, 6) != channels:
            raise RewriteRefused("it has more outputs than inputs")
        if len(shape(node)) != 4:
            raise RewriteRefused("its input has no batch dimension")
        if all_ints(argument(node, 3), 2) != (1, 1) or all_ints(argument(node, 5), 2) != (1, 1):
            raise RewriteRefused("it has a stride or a dilation")
        rows = MOST_TAPS // width
        if rows == 0:
            raise RewriteRefused(f"one row of its kernel has more than {MOST_TAPS} taps")
        parts = tuple((first, min(rows, height - first)) for first in range(0, height, rows))
        vertical, horizontal = all_ints(argument(node, 4), 2)
        return Plan((vertical, horizontal), parts)

    def rewrite(self, graph: Graph, node: fx.Node, plan: Plan) -> None:
        weight, bias = graph.constant(argument(node, 1)), argument(node, 2)
        assert weight is not None
        x, out_rows, (vertical, horizontal) = source(node), shape(node)[2], plan.padding
        padding = [vertical, horizontal]
        if not self._cut_outputs and any(padding):
            sides = [horizontal, horizontal, vertical, vertical]
            x = graph.call(aten.constant_pad_nd.default, x, sides, before=node)
            padding = [0, 0]
        total: fx.Node | None = None
        for first, rows in plan.parts:
            read = x
            if not self._cut_outputs:
                read = graph.call(aten.slice.Tensor, x, 2, first, first + out_rows + rows - 1, before=node)
            kernel = graph.add_constant(weight[:, :, first : first + rows], "rows", before=node)
            b = bias if (first, rows) == plan.parts[-1] else None
            part = graph.call(
                aten.conv2d.default, read, kernel, b, [1, 1], padding, [1, 1], weight.shape[0], before=node
            )
            if self._cut_outputs:
                part = graph.call(aten.slice.Tensor, part, 2, first, first + out_rows, before=node)
            total = part if total is None else graph.call(aten.add.Tensor, total, part, before=node)
        assert total is not None
        graph.replace(node, total)


CUT_INPUTS = SplitLargeDepthwise("split_large_depthwise", cut_outputs=False)
CUT_OUTPUTS = SplitLargeDepthwise("split_large_depthwise_cut_outputs", cut_outputs=True)
