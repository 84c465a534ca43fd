"""A hard-sigmoid gate between convolutions  ->  a clamp and other weights, for int8.

No CPU delegate has an int8 hard-sigmoid, so it would run in float between a dequantize and a quantize. After a
convolution it is

    hard_sigmoid(W x + b) = relu6(W x + (b + 3)) / 6

where relu6 is the clamp that an integer convolution does anyway, and the factor 1/6 moves on: through operators that are
linear and shift-free (resize, reshape, ...) into the product that the gate is used in, `local * gate`, and there into the
weights of the convolution that made `local`. Nothing is left of the activation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .affine import change_layer
from .graph import Graph, argument, operator_name, shape, single_user
from .rewrite import Rewrite

aten = torch.ops.aten
# f(a x) = a f(x) for these, whatever their other arguments
HOMOGENEOUS = (
    aten.upsample_bilinear2d.vec,
    aten.upsample_nearest2d.vec,
    aten.reshape.default,
    aten.permute.default,
    aten.transpose.int,
    aten.expand.default,
)


@dataclass(frozen=True)
class Gate:
    """A hard-sigmoid between two convolutions: the one before it, the product it ends in, and the other factor's layer."""

    before: fx.Node
    product: fx.Node
    other: fx.Node


class FoldHardSigmoidGate(Rewrite):
    name = "fold_hard_sigmoid_gate"
    reason = "no CPU delegate has an int8 hard-sigmoid; a convolution's own clamp and the next weights can do all of it"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.hardsigmoid.default

    def check(self, graph: Graph, node: fx.Node) -> Gate:
        before = node.args[0]
        assert isinstance(before, fx.Node)
        if before.target != aten.conv2d.default or single_user(before) is not node:
            raise RewriteRefused(f"its input is {operator_name(before)}, not a convolution of its own")
        if graph.constant(argument(before, 1)) is None:
            raise RewriteRefused("the convolution's weight is computed")
        at: fx.Node = node
        while (user := single_user(at)) is not None and user.target in HOMOGENEOUS:
            at = user
        if user is None or user.target != aten.mul.Tensor:
            raise RewriteRefused("its output does not end in one product, where the factor 1/6 could go")
        other = user.args[1] if user.args[0] is at else user.args[0]
        if (
            not isinstance(other, fx.Node)
            or other.target != aten.conv2d.default
            or single_user(other) is not user
            or graph.constant(argument(other, 1)) is None
        ):
            raise RewriteRefused("the other factor is not a convolution of its own, so the factor 1/6 has no home")
        return Gate(before, user, other)

    def rewrite(self, graph: Graph, node: fx.Node, plan: Gate) -> None:
        _change(graph, plan.before, gain=1.0, shift=3.0)
        _change(graph, plan.other, gain=1.0 / 6.0, shift=0.0)
        graph.replace(node, graph.call(aten.relu6.default, plan.before, before=node))


def _change(graph: Graph, layer: fx.Node, *, gain: float, shift: float) -> None:
    """Makes `layer` compute gain * layer(x) + shift."""
    outputs = shape(argument(layer, 1))[:1]
    change_layer(graph, layer, torch.full(outputs, gain), torch.full(outputs, shift), in_front=False)


REWRITE = FoldHardSigmoidGate()
