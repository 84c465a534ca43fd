"""A depthwise convolution of more than 25 taps -> the sum of ones of at most 25.

    w * x  =  w[0:n] * x  +  w[n:2n] * x (n rows further down)  +  ...        n = floor(25 / kernel width)

A 7x7 kernel becomes 3x7, 3x7 and 1x7. XNNPACK has depthwise kernels for up to 25 taps; a larger one runs as a grouped
matrix product, whose groups have one channel each. Aarch64 instructions of a 7x7 on 88 channels at 16x16 in int8: 12.9
million, of which 4.4 million are dot products; 49 multiply-accumulates an output in sixteens are 0.07.

There are two forms, because runtimes accept different ones:

- `split_large_depthwise` pads once and cuts rows of the input; the parts do not pad.
- `split_large_depthwise_cut_outputs` lets every part pad like the whole, and cuts rows of its output;
  there is no pad.

A convolution that keeps the size can have parts that keep it too, with dilation: nothing is padded or cut.
depthwise_parts.py has these ways, and the number of taps that the runtime's kernels compute decides: a 9x9 has 5x5, 5x4,
4x5 and 4x4 in both forms, a 7x7 has 3x7 and two 2x7 on small maps, where cut outputs are mostly waste.

The bias is in the last part. In int8 each part's sum has a scale of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .depthwise_parts import MOST_TAPS, Part, parts_in_a_row, symmetric_parts
from .graph import Graph, all_ints, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten
TAPS_OF_A_CUT = 3  # a copy of the result costs what so many taps do


@dataclass(frozen=True)
class Plan:
    """Padding above and below, left and right; the parts, and whether they keep the size."""

    padding: tuple[int, int]
    parts: tuple[Part, ...]
    symmetric: bool


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
        vertical, horizontal = all_ints(argument(node, 4), 2)
        plans = [Plan((vertical, horizontal), parts_in_a_row(height, width), symmetric=False)]
        if (vertical, horizontal) == (height // 2, width // 2):
            plans.insert(0, Plan((vertical, horizontal), symmetric_parts(height, width), symmetric=True))
        possible = [plan for plan in plans if plan.parts]
        if not possible:
            raise RewriteRefused(f"one row of its kernel has more than {MOST_TAPS} taps")
        return min(possible, key=lambda plan: self._computed_taps(plan, shape(node)[2]))

    def _computed_taps(self, plan: Plan, out_rows: int) -> float:
        """What the parts compute for each output, in taps."""
        if plan.symmetric or not self._cut_outputs:
            return sum(part.computed_taps for part in plan.parts)
        kernel_rows = sum(part.rows.count for part in plan.parts)
        return sum(
            part.computed_taps * (out_rows + kernel_rows - part.rows.count) / out_rows + TAPS_OF_A_CUT
            for part in plan.parts
        )

    def rewrite(self, graph: Graph, node: fx.Node, plan: Plan) -> None:
        weight, bias = graph.constant(argument(node, 1)), argument(node, 2)
        assert weight is not None
        x, out_rows, (vertical, horizontal) = source(node), shape(node)[2], plan.padding
        padding = [vertical, horizontal]
        cut_inputs = not plan.symmetric and not self._cut_outputs
        if cut_inputs and any(padding):
            sides = [horizontal, horizontal, vertical, vertical]
            x = graph.call(aten.constant_pad_nd.default, x, sides, before=node)
            padding = [0, 0]
        total: fx.Node | None = None
        for part in plan.parts:
            read, first = x, part.rows.first
            if cut_inputs:
                read = graph.call(aten.slice.Tensor, x, 2, first, first + out_rows + part.rows.count - 1, before=node)
            if plan.symmetric:
                padding = [part.rows.same_padding, part.columns.same_padding]
            taps = weight[:, :, part.rows.as_slice(), part.columns.as_slice()]
            kernel = graph.add_constant(taps, "taps", before=node)
            b = bias if part == plan.parts[-1] else None
            dilation = [part.rows.distance, part.columns.distance]
            value = graph.call(
                aten.conv2d.default, read, kernel, b, [1, 1], padding, dilation, weight.shape[0], before=node
            )
            if not plan.symmetric and self._cut_outputs:
                value = graph.call(aten.slice.Tensor, value, 2, first, first + out_rows, before=node)
            total = value if total is None else graph.call(aten.add.Tensor, total, value, before=node)
        assert total is not None
        graph.replace(node, total)


CUT_INPUTS = SplitLargeDepthwise("split_large_depthwise", cut_outputs=False)
CUT_OUTPUTS = SplitLargeDepthwise("split_large_depthwise_cut_outputs", cut_outputs=True)
