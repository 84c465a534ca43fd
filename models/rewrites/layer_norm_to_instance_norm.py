"""layer_norm over the last dimension -> instance_norm over each row, its gain and bias in the layers that read it.

    layer_norm(x) = normalized(x) * gain + bias         x (..., C)
    normalized(x) = instance_norm(x as (1, rows, C))    every row is a "channel" of its own

    W (g * n + b) + c = (W g) n + (c + W b)             n: the normalized values, W and c: a layer that reads them

ONNX Runtime's LayerNormalization computes value by value, its InstanceNormalization in vectors: 22 and 12 Arm
instructions a value at 24 channels, 16 and 7 at 64. A gain and a bias as operators of their own would cost more than that
saves, so the norm is declined where they are not neutral and one of its readers cannot take them up: a convolution
that pads would pad with zeros instead of the bias.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused

from .fold_batch_norm import Fold, fold, set_parameters, unpadded
from .graph import Graph, argument, operator_name, shape, source
from .layout import VIEWS, permutation
from .rewrite import Rewrite

aten = torch.ops.aten
CONVOLUTIONS = (aten.conv2d.default, aten.conv2d.padding)


@dataclass(frozen=True)
class Norm:
    """Gain and bias (C,), and the layers that take them up; no layers where both are neutral."""

    gain: Tensor
    bias: Tensor
    eps: float
    layers: tuple[fx.Node, ...]


class LayerNormToInstanceNorm(Rewrite):
    name = "layer_norm_to_instance_norm"
    reason = "ONNX Runtime computes a layer norm value by value, and an instance norm in vectors"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.layer_norm.default

    def check(self, graph: Graph, node: fx.Node) -> Norm:
        if len(argument(node, 1)) != 1:
            raise RewriteRefused("it normalises over more than one dimension")
        parameters = [argument(node, 2), argument(node, 3)]
        held = [graph.constant(parameter) for parameter in parameters]
        if any(parameter is not None and tensor is None for parameter, tensor in zip(parameters, held, strict=True)):
            raise RewriteRefused("its gain or bias is computed")
        channels = shape(node)[-1]
        gain = torch.ones(channels) if held[0] is None else held[0]
        bias = torch.zeros(channels) if held[1] is None else held[1]
        neutral = bool((gain == 1).all() and (bias == 0).all())
        layers = () if neutral else _readers(graph, node, shifted=bool(bias.any()))
        return Norm(gain, bias, argument(node, 4), layers)

    def rewrite(self, graph: Graph, node: fx.Node, plan: Norm) -> None:
        x = source(node)
        *rows, channels = shape(x)
        flat = graph.call(aten.reshape.default, x, [1, math.prod(rows), channels], before=node)
        # neither gain nor bias, no running statistics: those of the input; momentum and cuDNN have no meaning then
        y = graph.call(
            aten.instance_norm.default, flat, None, None, None, None, True, 0.0, plan.eps, False, before=node
        )
        graph.replace(node, graph.call(aten.reshape.default, y, [*rows, channels], before=node))
        for layer in plan.layers:
            weight, bias = (graph.constant(argument(layer, index)) for index in (1, 2))
            assert weight is not None
            norm = Fold(layer, plan.gain.double(), plan.bias.double(), norm_comes_first=True)
            folded = fold(weight.double(), None if bias is None else bias.double(), norm, groups=1)
            set_parameters(graph, layer, *folded)


def _readers(graph: Graph, node: fx.Node, *, shifted: bool) -> tuple[fx.Node, ...]:
    """The layers that read a norm's result, through views and permutes. Raises RewriteRefused for any other reader.

    Args:
        shifted: whether the norm adds anything.
    """
    layers: list[fx.Node] = []
    pending = [(node, len(shape(node)) - 1)]  # a value, and which of its dimensions the channels are
    while pending:
        value, axis = pending.pop()
        for user in value.users:
            order = permutation(user)
            if order is not None:
                pending.append((user, order.index(axis)))
            elif user.target in VIEWS:
                pending.append((user, _axis_after(value, axis, user)))
            else:
                _check_layer(graph, user, value, axis, shifted=shifted)
                layers.append(user)
    return tuple(layers)


def _axis_after(value: fx.Node, axis: int, view: fx.Node) -> int:
    """Where the channels are after a view that keeps them whole."""
    before, after = shape(value), shape(view)
    for index, side in enumerate(after):
        if side == before[axis] and math.prod(after[:index]) == math.prod(before[:axis]):
            return index
    raise RewriteRefused("a reshape that reads it splits or joins the channels")


def _check_layer(graph: Graph, user: fx.Node, value: fx.Node, axis: int, *, shifted: bool) -> None:
    linear = user.target == aten.linear.default
    if not (linear or user.target in CONVOLUTIONS) or user.args[0] is not value:
        raise RewriteRefused(f"{operator_name(user)} reads it and cannot take up its gain and bias")
    if graph.constant(argument(user, 1)) is None:
        raise RewriteRefused("the weight of a layer that reads it is computed")
    if axis != (len(shape(value)) - 1 if linear else 1) or (not linear and argument(user, 6) != 1):
        raise RewriteRefused(f"{operator_name(user)} reads it along another dimension, or in groups")
    if shifted and not unpadded(user):
        raise RewriteRefused("a convolution that reads it pads with zeros, which would miss its bias")


REWRITE = LayerNormToInstanceNorm()
