"""One projection that is split into parts  ->  one projection for each part.

    q, k, v = split(W x + b)      ->      q = W_q x + b_q,  k = W_k x + b_k,  v = W_v x + b_v

The rows of W are distributed, so the arithmetic is the same. What goes is the copy of the whole (B, N, 3C) value through a
five-dimensional permute and a split, neither of which XNNPACK takes; each part keeps an int8 range of its own, and a
factor on q alone (see `fold_attention_scale`) has a weight to go into. Two spellings are recognised:

    linear -> split(last axis)
    linear -> reshape (..., parts, rest) -> permute -> unbind(parts)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, shape, single_user, source
from .layout import VIEWS, permutation
from .rewrite import Rewrite
from .split_to_slices import SPLITS, UNBIND, part_sizes, split_axis

aten = torch.ops.aten


@dataclass(frozen=True)
class Projection:
    """A linear layer and how a part of its output becomes an output of the split.

    Attributes:
        layer: the linear layer.
        sizes: output features of each part.
        view: the part's shape before the permute; None where the split reads the layer itself.
        order: the permute, without the axis of parts.
    """

    layer: fx.Node
    sizes: list[int]
    view: list[int] | None
    order: tuple[int, ...] | None


class SplitQkvProjection(Rewrite):
    name = "split_qkv_projection"
    reason = "q, k and v from a layer each need no five-dimensional permute and no split"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target in (*SPLITS, UNBIND) and _layer_above(node) is not None

    def check(self, graph: Graph, node: fx.Node) -> Projection:
        layer = _layer_above(node)
        assert layer is not None
        if graph.constant(argument(layer, 1)) is None:
            raise RewriteRefused("its weight is computed")
        above = source(node)
        if node.target in SPLITS:
            if above is not layer or split_axis(node) != len(shape(layer)) - 1:
                raise RewriteRefused("the split is not along the layer's output features")
            return Projection(layer, part_sizes(node), None, None)
        return _from_unbind(node, layer)

    def rewrite(self, graph: Graph, node: fx.Node, plan: Projection) -> None:
        weight, bias = graph.constant(argument(plan.layer, 1)), graph.constant(argument(plan.layer, 2))
        assert weight is not None
        for part in list(node.users):
            index = part.args[1]
            assert isinstance(index, int)
            start = sum(plan.sizes[:index])
            rows = slice(start, start + plan.sizes[index])
            w = graph.add_constant(weight[rows], "part_weight", before=part)
            b = None if bias is None else graph.add_constant(bias[rows], "part_bias", before=part)
            y = graph.call(aten.linear.default, source(plan.layer), w, b, before=part)
            if plan.view is not None:
                y = graph.call(aten.reshape.default, y, plan.view, before=part)
            if plan.order is not None:
                y = graph.call(aten.permute.default, y, list(plan.order), before=part)
            graph.replace(part, y)


def _layer_above(node: fx.Node) -> fx.Node | None:
    """The linear layer above a split, through one permute and one reshape that have no other user."""
    above = source(node)
    for kind in ("permute", "view"):
        if single_user(above) is not None and (permutation(above) if kind == "permute" else above.target in VIEWS):
            above = source(above)
    return above if above.target == aten.linear.default and single_user(above) is not None else None


def _from_unbind(node: fx.Node, layer: fx.Node) -> Projection:
    above = source(node)
    order: tuple[int, ...] = permutation(above) or tuple(range(len(shape(above))))
    view = above if permutation(above) is None else source(above)
    sides = shape(view)
    axis = order[split_axis(node)]
    features, parts = shape(layer)[-1], sides[axis]
    if math.prod(sides[axis:]) != features:
        raise RewriteRefused("the parts are not blocks of the layer's output features")
    rest = tuple(o - (o > axis) for o in order if o != axis)
    return Projection(
        layer,
        [features // parts] * parts,
        [side for i, side in enumerate(sides) if i != axis],
        None if rest == tuple(range(len(rest))) else rest,
    )


REWRITE = SplitQkvProjection()
