"""layer_norm with a gain and a bias  ->  layer_norm without, the two in the layers that read it.

    W (g n + t) + b  =  (W g) n + (W t + b)            n the normalised values

What is between the norm and a layer may move values but not compute: permutes, views that keep the channels together,
picks of positions. Before a layer that pads, a bias is declined: its zeros would have to be -t / g.

Most runtimes compute a layer norm in single operators; two of them, each a pass over the map, are the gain and the bias.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused

from .affine import change_layer, is_layer, is_unpadded
from .graph import Graph, argument, operator_name, shape
from .layer_norm import moved_axis
from .rewrite import Rewrite

aten = torch.ops.aten


@dataclass(frozen=True)
class Plan:
    """Gain and bias (C,), and the layers that take them."""

    gain: Tensor
    bias: Tensor
    layers: tuple[fx.Node, ...]


class FoldLayerNormAffine(Rewrite):
    name = "fold_layer_norm_affine"
    reason = "the gain and the bias of a layer norm are two passes over the map that the next layer can do for free"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.layer_norm.default and any(argument(node, index) is not None for index in (2, 3))

    def check(self, graph: Graph, node: fx.Node) -> Plan:
        if len(argument(node, 1)) != 1:
            raise RewriteRefused("it normalises over more than one dimension")
        gain, bias = (graph.constant(argument(node, index)) for index in (2, 3))
        if any(argument(node, index) is not None and held is None for index, held in ((2, gain), (3, bias))):
            raise RewriteRefused("its gain or bias is computed")
        channels = shape(node)[-1]
        gain = torch.ones(channels) if gain is None else gain
        bias = torch.zeros(channels) if bias is None else bias
        layers = tuple(dict.fromkeys(_layers_of(graph, node, len(shape(node)) - 1)))
        if not layers:
            raise RewriteRefused("nothing reads it")
        if bool(bias.any()) and not all(is_unpadded(layer) for layer in layers):
            raise RewriteRefused("the convolution after it pads with zeros, which would miss the norm's bias")
        return Plan(gain, bias, layers)

    def rewrite(self, graph: Graph, node: fx.Node, plan: Plan) -> None:
        for layer in plan.layers:
            change_layer(graph, layer, plan.gain, plan.bias, in_front=True)
        bare = graph.call(aten.layer_norm.default, *node.args[:2], None, None, argument(node, 4), before=node)
        graph.replace(node, bare)


def _layers_of(graph: Graph, value: fx.Node, axis: int) -> list[fx.Node]:
    """The layers that read a value whose channels are dimension `axis`. Raises RewriteRefused for any other reader."""
    layers = []
    for user in value.users:
        if is_layer(graph, user) and user.args[0] is value:
            linear = user.target == aten.linear.default
            if axis != (len(shape(value)) - 1 if linear else len(shape(value)) - 3):
                raise RewriteRefused("a layer reads it whose channels are not the norm's")
            layers.append(user)
        elif (moved := moved_axis(user, value, axis)) is not None:
            layers += _layers_of(graph, user, moved)
        else:
            raise RewriteRefused(f"{operator_name(user)} reads it, which needs its gain and bias")
    return layers


REWRITE = FoldLayerNormAffine()
