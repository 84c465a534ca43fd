"""x / max(|x|, eps)  ->  x * rsqrt(max(sum x^2, eps^2)), and behind the product that contracts the normalised axis.

    normalise    y = x * r,  r = rsqrt(max(sum x^2, eps^2))         no division, so none by a quantized zero

An int8 norm near zero is the integer zero, and TFLite's int8 DIV stops the inference there. With the reciprocal there is
nothing to stop; the int8 exporters keep sum and rsqrt in float (see `exporters/regions/normalization.py`).

`LateNorm` moves it where two normalised values only meet in a matrix product over the normalised axis, as in cross
covariance attention (d channels, N tokens):

    (q r_q) (k r_k)^T  =  (q k^T) * r_q r_k^T          q, k: (d, N), r: (d, 1)

That scales d x d values instead of 2 d x N, and an integer product works on q and k as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, shape, single_user, source
from .layout import permutation
from .rewrite import Rewrite

aten = torch.ops.aten
EXPANDS = (aten.expand_as.default, aten.expand.default)


@dataclass(frozen=True)
class Normalised:
    """What is normalised, over which dimensions, and the smallest norm that it is divided by."""

    x: fx.Node
    dims: list[int]
    eps: float


class ReciprocalNorm(Rewrite):
    name = "l2_norm_to_rsqrt"
    why = "no runtime then divides by a norm that is a quantized zero"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.div.Tensor and _norm(node.args[1]) is not None

    def check(self, graph: Graph, node: fx.Node) -> Normalised:
        norm = _norm(node.args[1])
        assert norm is not None
        if argument(norm, 1) != 2 or argument(norm, 2) is None or not argument(norm, 3):
            raise RewriteRefused("it is no L2 norm along an axis that is kept")
        x = source(norm)
        if node.args[0] is not x:
            raise RewriteRefused("it divides another value than the one whose norm it takes")
        eps = _floor(node.args[1])
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


@dataclass(frozen=True)
class Side:
    """One operand of a matrix product: the value before its norm, the reciprocal, and the permutes behind it."""

    x: fx.Node
    reciprocal: fx.Node
    order: tuple[int, ...] | None


class LateNorm(Rewrite):
    name = "defer_l2_norm"
    why = "scaling the d x d product costs less than scaling both d x N factors"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.matmul.default and any(_side(a, -1 - i) for i, a in enumerate(node.args))

    def check(self, graph: Graph, node: fx.Node) -> tuple[Side, Side]:
        left, right = _side(node.args[0], -1), _side(node.args[1], -2)
        if left is None or right is None:
            raise RewriteRefused("only one factor is normalised over the contracted axis, for itself alone")
        if len(shape(node)) != len(shape(source(node))) or len(shape(source(node))) != len(shape(source(node, 1))):
            raise RewriteRefused("the factors have different ranks")
        if shape(node)[-1] * shape(node)[-2] >= shape(source(node))[-1] * (shape(node)[-1] + shape(node)[-2]):
            raise RewriteRefused("the product is larger than its factors")
        return left, right

    def rewrite(self, graph: Graph, node: fx.Node, plan: tuple[Side, Side]) -> None:
        factors, scales = [], []
        for side in plan:
            x, scale = side.x, side.reciprocal
            if side.order is not None:
                x = graph.call(aten.permute.default, x, list(side.order), before=node)
                scale = graph.call(aten.permute.default, scale, list(side.order), before=node)
            factors.append(x)
            scales.append(scale)
        product = graph.call(aten.matmul.default, *factors, before=node)
        for scale in scales:  # (..., d, 1), then (..., 1, d)
            product = graph.call(aten.mul.Tensor, product, scale, before=node)
        graph.replace(node, product)


def _norm(value: Any) -> fx.Node | None:
    """The vector norm below an expand and a clamp."""
    while isinstance(value, fx.Node) and value.target in (*EXPANDS, aten.clamp_min.default):
        value = value.args[0]
    return value if isinstance(value, fx.Node) and value.target == aten.linalg_vector_norm.default else None


def _floor(value: Any) -> float:
    """What the clamp keeps the norm above; 0 without one."""
    while isinstance(value, fx.Node) and value.target in EXPANDS:
        value = value.args[0]
    if not isinstance(value, fx.Node) or value.target != aten.clamp_min.default:
        return 0.0
    floor = value.args[1]
    return float(floor) if isinstance(floor, int | float) else 0.0


def _side(value: Any, axis: int) -> Side | None:
    """x * rsqrt(...), perhaps permuted, that nobody else reads, where the reciprocal has length 1 along `axis`."""
    if not isinstance(value, fx.Node) or single_user(value) is None:
        return None
    order = permutation(value)
    scaled = source(value) if order is not None else value
    if scaled.target != aten.mul.Tensor or single_user(scaled) is None:
        return None
    x, reciprocal = scaled.args
    if not isinstance(x, fx.Node) or not isinstance(reciprocal, fx.Node) or reciprocal.target != aten.rsqrt.default:
        return None
    rank = len(shape(scaled))
    if len(shape(reciprocal)) != rank:
        return None
    axis = order[axis] if order is not None else axis
    return Side(x, reciprocal, order) if shape(reciprocal)[axis] == 1 else None


RECIPROCAL = ReciprocalNorm()
LATE = LateNorm()
