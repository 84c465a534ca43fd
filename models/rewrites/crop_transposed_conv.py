"""A transposed convolution with padding -> one without, and a slice of its output.

    conv_transpose(x, w, stride s, padding p, output padding q)  =  conv_transpose(x, w, s)[p : p + n]

with n rows and columns of output. Where q > p, rows beyond the last window are read: x gets one more row of zeros first.

TFLite pads a transposed convolution in two ways only, VALID (p = q = 0) and SAME, which cuts k - s rows, the smaller half
at the start. Kernel 3 with stride 2, padding 1, output padding 1 cuts its one row there: the converter has no form for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx

from .graph import Graph, all_ints, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten


@dataclass(frozen=True)
class Crop:
    """Where the output starts in the whole one, and how many rows and columns of zeros the input gets."""

    first: tuple[int, ...]
    more: tuple[int, ...]


class CropTransposedConv(Rewrite):
    name = "crop_transposed_conv"
    reason = "TFLite's transposed convolution has no padding but VALID and SAME; a slice can cut anything"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.conv_transpose2d.input and not _is_valid_or_same(node)

    def check(self, graph: Graph, node: fx.Node) -> Crop:
        cut, added = _cut(node)
        return Crop(cut, tuple(int(more > first) for first, more in zip(cut, added, strict=True)))

    def rewrite(self, graph: Graph, node: fx.Node, plan: Crop) -> None:
        x, none = source(node), [0, 0]
        if any(plan.more):
            x = graph.call(aten.pad.default, x, [0, plan.more[1], 0, plan.more[0]], before=node)
        strides, groups, dilations = argument(node, 3), argument(node, 6), argument(node, 7)
        y = graph.call(
            aten.conv_transpose2d.input, x, node.args[1], argument(node, 2), strides, none, none, groups, dilations,
            before=node,
        )  # fmt: skip
        for axis, first in enumerate(plan.first, start=2):
            size = shape(node)[axis]
            if shape(y)[axis] != size:
                y = graph.call(aten.slice.Tensor, y, axis, first, first + size, before=node)
        graph.replace(node, y)


def _cut(node: fx.Node) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Padding and output padding."""
    return all_ints(argument(node, 4), 2), all_ints(argument(node, 5), 2)


def _is_valid_or_same(node: fx.Node) -> bool:
    cut, added = _cut(node)
    if not any((*cut, *added)):
        return True
    windows, strides = shape(source(node, 1))[2:], all_ints(argument(node, 3), 2)
    return not any(added) and all(k - s == 2 * p for k, s, p in zip(windows, strides, cut, strict=True))


REWRITE = CropTransposedConv()
