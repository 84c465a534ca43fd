"""layer_norm  ->  d = x - mean(x),  y = d * rsqrt(mean(d^2) + eps) * gain + bias

TFLite has no layer_norm, and its converter spells it y = x r - mean(x) r. Where the mean is large beside the spread, that
is the difference of two large products, each rounded, and float32 loses the digits in which they agree. Taking the mean off
first is no more work and leaves one rounding, that of the mean. It also leaves out
about half of the converter's reshapes (XFormer: 95 of 194).

Where the norm alone reads a layer W x + b, perhaps permuted, the mean can come off the layer, and d is what it computes
(`center_layer_before_variance`):

    W' = W - mean of its rows,  b' = b - mean(b)

For float networks only. An int8 layer's rounding and clipping have a mean as well, which a subtraction takes off and this
leaves in: a trained EdgeNeXt-XXS lost 7 dB on images outside the calibrated range.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .affine import center_outputs, channel_axis, is_grouped, is_layer
from .graph import Graph, argument, shape, single_user, source
from .layout import VIEWS, axis_of_view, permutation
from .rewrite import Rewrite

aten = torch.ops.aten


class CenterBeforeVariance(Rewrite):
    name = "center_before_variance"
    reason = "TFLite's converter spells a norm as a difference of large products; the mean comes off first here"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.layer_norm.default

    def check(self, graph: Graph, node: fx.Node) -> list[int]:
        return [-1 - i for i in range(len(argument(node, 1)))]

    def layer_of(self, graph: Graph, node: fx.Node) -> fx.Node | None:
        """The layer that the mean comes off."""
        return None

    def rewrite(self, graph: Graph, node: fx.Node, plan: list[int]) -> None:
        def call(target: Any, *args: Any) -> fx.Node:
            return graph.call(target, *args, before=node)

        x = source(node)
        layer = self.layer_of(graph, node)
        if layer is None:
            centred = call(aten.sub.Tensor, x, call(aten.mean.dim, x, plan, True))
        else:
            center_outputs(graph, layer)
            centred = x
        variance = call(aten.mean.dim, call(aten.mul.Tensor, centred, centred), plan, True)
        root = call(aten.rsqrt.default, call(aten.add.Tensor, variance, argument(node, 4)))
        y = call(aten.mul.Tensor, centred, root)
        for operator, parameter in ((aten.mul.Tensor, argument(node, 2)), (aten.add.Tensor, argument(node, 3))):
            if parameter is not None:
                y = call(operator, y, parameter)
        graph.replace(node, y)


class CenterLayerBeforeVariance(CenterBeforeVariance):
    """The same where a layer can be centred."""

    name = "center_layer_before_variance"
    reason = "the mean comes off the layer before a norm, whose outputs then need no subtraction"

    def check(self, graph: Graph, node: fx.Node) -> list[int]:
        if self.layer_of(graph, node) is None:
            raise RewriteRefused("it does not read one layer alone")
        return super().check(graph, node)

    def layer_of(self, graph: Graph, node: fx.Node) -> fx.Node | None:
        x = source(node)
        return _layer_of(graph, x, len(shape(x)) - 1) if len(argument(node, 1)) == 1 else None


def _layer_of(graph: Graph, value: fx.Node, axis: int) -> fx.Node | None:
    """The layer whose outputs are dimension `axis` of a value that one operator reads, behind views and permutes."""
    if single_user(value) is None:
        return None
    if is_layer(graph, value):
        if axis != channel_axis(value) or is_grouped(value):
            return None  # an output of a group lacks what the others read
        bias = argument(value, 2)
        return value if bias is None or graph.constant(bias) is not None else None
    if (order := permutation(value)) is not None:
        return _layer_of(graph, source(value), order[axis])
    if value.target in VIEWS:
        before = axis_of_view(shape(value), shape(source(value)), axis)
        return None if before is None else _layer_of(graph, source(value), before)
    return None


REWRITE = CenterBeforeVariance()
OF_LAYER = CenterLayerBeforeVariance()
