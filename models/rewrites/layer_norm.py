"""What the rewrites of layer norms share: reading one, and writing it as means by layers and elementwise operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, all_ints, argument, shape
from .layout import VIEWS, axis_of_view, permutation

aten = torch.ops.aten
POOLS = (aten.avg_pool2d.default, aten.max_pool2d.default)


@dataclass(frozen=True)
class Norm:
    """A layer norm over the last dimension; gain and bias (C,) or None."""

    gain: Tensor | None
    bias: Tensor | None
    eps: float


def norm_over_channels(graph: Graph, node: fx.Node) -> Norm:
    """Reads a layer_norm. Raises RewriteRefused where it normalises over more, or its parameters are computed."""
    if len(argument(node, 1)) != 1:
        raise RewriteRefused("it normalises over more than one dimension")
    gain, bias = (graph.constant(argument(node, index)) for index in (2, 3))
    if any(argument(node, index) is not None and held is None for index, held in ((2, gain), (3, bias))):
        raise RewriteRefused("its gain or bias is computed")
    return Norm(gain, bias, argument(node, 4))


def norm_by_layers(
    graph: Graph, x: fx.Node, norm: Norm, layer: Callable[..., Any], per_channel: tuple[int, ...], *, before: fx.Node
) -> fx.Node:
    """The norm of `x`, with its means by a layer of one output.

    Args:
        layer: conv2d or linear.
        per_channel: the shape of a parameter beside `x`: (C,), or (1, C, 1, 1) for a map.
    """

    channels = max(per_channel)
    kernel = graph.add_constant(torch.full((1, channels, *per_channel[2:]), 1.0 / channels), "mean", before=before)
    return norm_by_means(
        graph, x, norm, lambda value: graph.call(layer, value, kernel, before=before), per_channel, before=before
    )


def norm_by_means(
    graph: Graph,
    x: fx.Node,
    norm: Norm,
    mean: Callable[[fx.Node], fx.Node],
    per_channel: tuple[int, ...],
    *,
    before: fx.Node,
) -> fx.Node:
    """The norm of `x`, with `mean` adding the operators of a mean over channels; `per_channel` as above."""

    def call(operator: Callable[..., Any], *args: Any) -> fx.Node:
        return graph.call(operator, *args, before=before)

    centred = call(aten.sub.Tensor, x, mean(x))
    variance = mean(call(aten.mul.Tensor, centred, centred))
    y = call(aten.mul.Tensor, centred, call(aten.rsqrt.default, call(aten.add.Tensor, variance, norm.eps)))
    for operator, parameter, neutral in ((aten.mul.Tensor, norm.gain, 1.0), (aten.add.Tensor, norm.bias, 0.0)):
        if parameter is not None and bool((parameter != neutral).any()):
            held = graph.add_constant(parameter.reshape(per_channel), "norm_parameter", before=before)
            y = call(operator, y, held)
    assert shape(y) == shape(x)
    return y


def moved_axis(node: fx.Node, value: fx.Node, axis: int) -> int | None:
    """Where the channels are after an operator that moves whole values only; None for any other."""
    if (order := permutation(node)) is not None:
        return order.index(axis)
    if node.target in VIEWS:
        return axis_of_view(shape(value), shape(node), axis)
    if node.target in POOLS and all_ints(argument(node, 1), 2) == (1, 1) and not any(all_ints(argument(node, 3), 2)):
        divisor = argument(node, 6) if node.target == aten.avg_pool2d.default else None
        return axis if divisor is None else None
    return None
