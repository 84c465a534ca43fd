"""x / max(|x|, eps)  ->  x * rsqrt(max(sum x^2, eps^2)): the L2 norm without a division.

An int8 norm near zero is the integer zero, and TFLite's int8 DIV stops the inference there. With the reciprocal there is
no division; int8 recipes keep the sum and the rsqrt in float, since squares do not fit into eight bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, source
from .rewrite import Rewrite

aten = torch.ops.aten
EXPANDS = (aten.expand_as.default, aten.expand.default)


@dataclass(frozen=True)
class Normalised:
    """What is normalised, over which dimensions, and the smallest norm that it is divided by."""

    x: fx.Node
    dims: list[int]
    eps: float


class L2NormToRsqrt(Rewrite):
    name = "l2_norm_to_rsqrt"
    reason = "no runtime then divides by a norm that is a quantized zero"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.div.Tensor and _norm(node.args[1]) is not None

    def check(self, graph: Graph, node: fx.Node) -> Normalised:
        norm = _norm(node.args[1])
        assert norm is not None
        if argument(norm, 1) != 2 or argument(norm, 2) is None or not argument(norm, 3):
            raise RewriteRefused("it is not an L2 norm along an axis that is kept")
        x = source(norm)
        if node.args[0] is not x:
            raise RewriteRefused("it divides another value than the one whose norm it takes")
        eps = _smallest_norm(node.args[1])
        if eps**2 < torch.finfo(torch.float32).tiny:
            raise RewriteRefused(f"nothing, or only {eps:g}, keeps the norm away from zero")
        dims = argument(norm, 2)
        return Normalised(x, [dims] if isinstance(dims, int) else list(dims), eps)

    def rewrite(self, graph: Graph, node: fx.Node, plan: Normalised) -> None:
        square = graph.call(aten.mul.Tensor, plan.x, plan.x, before=node)
        total = graph.call(aten.sum.dim_IntList, square, plan.dims, True, before=node)
        safe = graph.call(aten.clamp_min.default, total, plan.eps**2, before=node)
        reciprocal = graph.call(aten.rsqrt.default, safe, before=node)
        graph.replace(node, graph.call(aten.mul.Tensor, plan.x, reciprocal, before=node))


def _norm(value: Any) -> fx.Node | None:
    """The vector norm below an expand and a clamp."""
    while isinstance(value, fx.Node) and value.target in (*EXPANDS, aten.clamp_min.default):
        value = value.args[0]
    return value if isinstance(value, fx.Node) and value.target == aten.linalg_vector_norm.default else None


def _smallest_norm(value: Any) -> float:
    """The bound of the clamp below an expand; 0 without a clamp."""
    while isinstance(value, fx.Node) and value.target in EXPANDS:
        value = value.args[0]
    if not isinstance(value, fx.Node) or value.target != aten.clamp_min.default:
        return 0.0
    bound = value.args[1]
    return float(bound) if isinstance(bound, int | float) else 0.0


REWRITE = L2NormToRsqrt()
