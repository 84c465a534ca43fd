"""A gain and a shift per channel as part of a layer, in front of it or behind it; a layer is a convolution or linear.

    behind a layer (W, b):        W'_o = g_o W_o          b'_o = g_o b_o + t_o
    in front of a layer (W, b):   W'_oi = W_oi g_i        b'_o = b_o + sum_i,k W_oik t_i

"In front" is exact only without padding: a padded zero would have been a zero, and inside the layer it would have to be t.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from .graph import Graph, all_ints, argument, shape

aten = torch.ops.aten
LAYERS = (aten.conv2d.default, aten.conv2d.padding, aten.linear.default)


def is_layer(graph: Graph, node: fx.Node) -> bool:
    """Whether a node is a layer whose weight is constant."""
    return node.target in LAYERS and graph.constant(argument(node, 1)) is not None


def channel_axis(layer: fx.Node) -> int:
    """The dimension of the channels in what a layer reads, and in what it gives."""
    return len(shape(layer)) - (1 if layer.target == aten.linear.default else 3)


def is_grouped(layer: fx.Node) -> bool:
    """Whether a layer's outputs read different channels."""
    return layer.target != aten.linear.default and argument(layer, 6) != 1


def is_unpadded(layer: fx.Node) -> bool:
    """Whether a layer pads nothing."""
    if layer.target == aten.linear.default:
        return True
    padding = argument(layer, 4)
    return padding == "valid" or (not isinstance(padding, str) and not any(all_ints(padding, 2)))


def affine_behind(weight: Tensor, bias: Tensor | None, gain: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (out, in/groups, ...) and bias (out,) of a layer with gain and shift (out,) behind it."""
    bias = weight.new_zeros(weight.shape[0]) if bias is None else bias
    return weight * gain.view(-1, *[1] * (weight.ndim - 1)), bias * gain + shift


def affine_in_front(
    weight: Tensor, bias: Tensor | None, gain: Tensor, shift: Tensor, *, groups: int
) -> tuple[Tensor, Tensor]:
    """Weight (out, in/groups, ...) and bias (out,) of a layer with gain and shift (in,) in front of it."""
    out = weight.shape[0]
    bias = weight.new_zeros(out) if bias is None else bias
    # (in,) -> (out, in/groups, 1...): group g of the outputs reads the g-th slice of the inputs
    per_input = (out, weight.shape[1], *[1] * (weight.ndim - 2))
    rows = torch.arange(out) // (out // groups)
    gain = gain.view(groups, -1)[rows].view(per_input)
    shift = shift.view(groups, -1)[rows].view(per_input)
    return weight * gain, bias + (weight * shift).flatten(1).sum(1)


def change_layer(graph: Graph, layer: fx.Node, gain: Tensor, shift: Tensor, *, in_front: bool) -> None:
    """Makes `layer` do a gain and a shift per channel as well; computed in float64."""
    weight, bias = graph.constant(argument(layer, 1)), graph.constant(argument(layer, 2))
    assert weight is not None
    w, b, g, t = weight.double(), None if bias is None else bias.double(), gain.double(), shift.double()
    if in_front:
        groups = 1 if layer.target == aten.linear.default else int(argument(layer, 6))
        w, b = affine_in_front(w, b, g, t, groups=groups)
    else:
        w, b = affine_behind(w, b, g, t)
    new = graph.add_constant(w.to(weight.dtype), "folded_weight", before=layer)
    with_parameters(graph, layer, new, graph.add_constant(b.to(weight.dtype), "folded_bias", before=layer))


def center_outputs(graph: Graph, layer: fx.Node) -> None:
    """Takes the mean over its outputs off a layer's weight and bias; computed in float64."""
    centred: list[fx.Node | None] = []
    for values in (graph.constant(argument(layer, index)) for index in (1, 2)):
        if values is None:
            centred.append(None)
        else:
            without = (values.double() - values.double().mean(0, keepdim=True)).to(values.dtype)
            centred.append(graph.add_constant(without, "centred", before=layer))
    weight, bias = centred
    assert weight is not None, "a layer has a constant weight"
    with_parameters(graph, layer, weight, bias)


def with_parameters(graph: Graph, layer: fx.Node, weight: fx.Node, bias: fx.Node | None) -> None:
    """Gives `layer` another weight and bias."""
    args: list[Any] = list(layer.args) + [None] * (3 - len(layer.args))
    old = args[1:3]
    args[1:3] = weight, bias
    layer.args = tuple(args)
    layer.kwargs = {name: value for name, value in layer.kwargs.items() if name not in ("weight", "bias")}
    for node in old:
        if isinstance(node, fx.Node):
            graph.erase_if_unused(node)
