"""Hard-sigmoid and hard-swish, spelled as each runtime likes them.

    hard_sigmoid(x) = relu6(x + 3) / 6            hard_swish(x) = x * hard_sigmoid(x)

`WholeHardActivations` turns every spelling into the one operator: ONNX Runtime has HardSigmoid and HardSwish kernels,
XNNPACK takes ExecuTorch's hardswish.

`ClippedHardSigmoid` goes the other way, for int8: no CPU delegate has an int8 hard-sigmoid, so it would run in float
between a dequantize and a quantize. After a convolution it is

    hard_sigmoid(W x + b) = relu6(W x + (b + 3)) / 6

where relu6 is the clamp that an integer convolution does anyway, and the factor 1/6 moves on: through operators that are
linear and shift-free (resize, reshape, ...) into the product that the gate is used in, `local * gate`, and there into the
weights of the convolution that made `local`. Nothing is left of the activation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, operator_name, single_user
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
CLAMPS = (aten.relu6.default, aten.hardtanh.default, aten.clamp.default)


@dataclass(frozen=True)
class Spelled:
    """A hard activation found written out: its input, and whether it is the swish."""

    x: fx.Node
    swish: bool


class WholeHardActivations(Rewrite):
    name = "fuse_hard_activations"
    why = "one operator instead of add, clamp, multiply and divide"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        if node.target == aten.mul.Tensor and any(
            isinstance(a, fx.Node) and a.target == aten.hardsigmoid.default for a in node.args
        ):
            return True
        return _is_sixth(node) and _clamped_shift(node.args[0]) is not None

    def check(self, graph: Graph, node: fx.Node) -> Spelled:
        if _is_sixth(node):
            inner = _clamped_shift(node.args[0])
            assert inner is not None
            product = node.args[0]
            if isinstance(product, fx.Node) and product.target == aten.mul.Tensor:
                return Spelled(inner, swish=True)  # x * relu6(x + 3) / 6
            return Spelled(inner, swish=False)
        a, b = node.args
        for gate, other in ((a, b), (b, a)):
            if isinstance(gate, fx.Node) and gate.target == aten.hardsigmoid.default and gate.args[0] is other:
                return Spelled(other, swish=True)  # type: ignore[arg-type]
        raise RewriteRefused("the gate multiplies another value than its own input: it is a gate, not a hard-swish")

    def rewrite(self, graph: Graph, node: fx.Node, plan: Spelled) -> None:
        target = aten.hardswish.default if plan.swish else aten.hardsigmoid.default
        graph.replace(node, graph.call(target, plan.x, before=node))


@dataclass(frozen=True)
class Gate:
    """A hard-sigmoid between two convolutions: the one before it, the product it ends in, and the other factor's layer."""

    before: fx.Node
    product: fx.Node
    other: fx.Node


class ClippedHardSigmoid(Rewrite):
    name = "fold_hard_sigmoid_gate"
    why = "no CPU delegate has an int8 hard-sigmoid; a convolution's own clamp and the next weights can do all of it"

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
        _affine_layer(graph, plan.before, gain=1.0, shift=3.0)
        _affine_layer(graph, plan.other, gain=1.0 / 6.0, shift=0.0)
        graph.replace(node, graph.call(aten.relu6.default, plan.before, before=node))


def _affine_layer(graph: Graph, layer: fx.Node, *, gain: float, shift: float) -> None:
    """Makes `layer` compute gain * layer(x) + shift."""
    weight, bias = graph.constant(argument(layer, 1)), graph.constant(argument(layer, 2))
    assert weight is not None
    new_bias = (torch.zeros(weight.shape[0], dtype=weight.dtype) if bias is None else bias) * gain + shift
    args: list[Any] = list(layer.args) + [None] * (3 - len(layer.args))
    old = args[1:3]
    args[1] = graph.add_constant(weight * gain, "scaled_weight", before=layer)
    args[2] = graph.add_constant(new_bias, "shifted_bias", before=layer)
    layer.args = tuple(args)
    for node in old:
        if isinstance(node, fx.Node):
            graph.erase_if_unused(node)


def _is_sixth(node: fx.Node) -> bool:
    """x / 6 or x * (1/6)."""
    if node.target == aten.div.Tensor:
        return node.args[1] in (6, 6.0)
    return node.target == aten.mul.Tensor and isinstance(node.args[1], float) and abs(node.args[1] * 6 - 1) < 1e-6


def _clamped_shift(node: Any) -> fx.Node | None:
    """The x of relu6(x + 3), or of x * relu6(x + 3)."""
    if not isinstance(node, fx.Node):
        return None
    if node.target == aten.mul.Tensor:
        for x, clamped in (node.args, node.args[::-1]):
            if isinstance(clamped, fx.Node) and clamped.target in CLAMPS and _clamped_shift(clamped) is x:
                return x
        return None
    if node.target not in CLAMPS:
        return None
    if node.target != aten.relu6.default and (argument(node, 1), argument(node, 2)) not in ((0, 6), (0.0, 6.0)):
        return None
    added = node.args[0]
    if isinstance(added, fx.Node) and added.target == aten.add.Tensor and added.args[1] in (3, 3.0):
        return added.args[0]  # type: ignore[return-value]
    return None


WHOLE = WholeHardActivations()
CLIPPED = ClippedHardSigmoid()
