"""Two L2 norms in front of a matrix product  ->  a scale behind it.

Where two normalised values only meet in a matrix product over the normalised axis, as in cross covariance attention
(d channels, N tokens), with r = rsqrt(max(sum x^2, eps^2)) as `l2_norm_to_rsqrt` leaves it:

    (q r_q) (k r_k)^T  =  (q k^T) * r_q r_k^T          q, k: (d, N), r: (d, 1)

That scales d x d values instead of 2 d x N, and an integer product works on q and k as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, shape, single_user, source
from .layout import permutation
from .rewrite import Rewrite

aten = torch.ops.aten


@dataclass(frozen=True)
class Side:
    """One operand of a matrix product: the value before its norm, the reciprocal, and the permutes behind it."""

    x: fx.Node
    reciprocal: fx.Node
    order: tuple[int, ...] | None


class DeferL2Norm(Rewrite):
    name = "defer_l2_norm"
    reason = "scaling the d x d product costs less than scaling both d x N factors"

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


REWRITE = DeferL2Norm()
