"""Hard-sigmoid and hard-swish in any spelling  ->  one operator each.

    relu6(x + 3) / 6            ->  hard_sigmoid(x)
    x * relu6(x + 3) / 6        ->  hard_swish(x)
    x * hard_sigmoid(x)         ->  hard_swish(x)

ONNX Runtime has HardSigmoid and HardSwish kernels, XNNPACK takes ExecuTorch's hardswish.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument
from .rewrite import Rewrite

aten = torch.ops.aten
CLAMPS = (aten.relu6.default, aten.hardtanh.default, aten.clamp.default)


@dataclass(frozen=True)
class Spelled:
    """A hard activation found written out: its input, and whether it is the swish."""

    x: fx.Node
    swish: bool


class FuseHardActivations(Rewrite):
    name = "fuse_hard_activations"
    reason = "one operator instead of add, clamp, multiply and divide"

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


REWRITE = FuseHardActivations()
