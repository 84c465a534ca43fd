"""One projection that is cut into parts -> one projection a part;  other splits -> slices.

    q, k, v = cut(W x + b)      ->      q = W_q x + b_q,  k = W_k x + b_k,  v = W_v x + b_v

The rows of W are dealt out, so the arithmetic is the same. What goes is the copy of the whole (B, N, 3C) value through a
five-dimensional permute and a split, neither of which XNNPACK takes; each part keeps an int8 range of its own, and a
factor on q alone (see `fold_attention_scale`) has a weight to go into. Two spellings are met:

    linear -> split(last axis)
    linear -> reshape (..., parts, rest) -> permute -> unbind(parts)

`SplitsAsSlices` does the rest: even and uneven splits, chunks and unbinds become slices. ExecuTorch's XNNPACK has no
split, TFLite's none of uneven parts; all delegates have slices.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, shape, single_user, source
from .layout import VIEWS, permutation
from .rewrite import Rewrite

aten = torch.ops.aten
CUTS = (aten.split.Tensor, aten.split_with_sizes.default, aten.chunk.default)
UNBIND = aten.unbind.int


@dataclass(frozen=True)
class Projection:
    """A linear layer and how a part of its output becomes what the cut gives for it.

    Attributes:
        layer: the linear layer.
        sizes: output features of each part.
        view: the part's shape before the permute; None where the cut reads the layer itself.
        order: the permute, without the axis of parts.
    """

    layer: fx.Node
    sizes: list[int]
    view: list[int] | None
    order: tuple[int, ...] | None


class SplitProjections(Rewrite):
    name = "split_qkv_projection"
    why = "q, k and v from a layer each need no five-dimensional permute and no split"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target in (*CUTS, UNBIND) and _layer_above(node) is not None

    def check(self, graph: Graph, node: fx.Node) -> Projection:
        layer = _layer_above(node)
        assert layer is not None
        if graph.constant(argument(layer, 1)) is None:
            raise RewriteRefused("its weight is computed")
        above = source(node)
        if node.target in CUTS:
            if above is not layer or _axis(node) != len(shape(layer)) - 1:
                raise RewriteRefused("the cut is not along the layer's output features")
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


class SplitsAsSlices(Rewrite):
    name = "split_to_slices"
    why = "no delegate has uneven splits, ExecuTorch's has none at all; all have slices"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target in (*CUTS, UNBIND)

    def check(self, graph: Graph, node: fx.Node) -> int:
        if any(user.target is not operator.getitem for user in node.users):
            raise RewriteRefused("its parts are read as one list")
        return _axis(node)

    def rewrite(self, graph: Graph, node: fx.Node, plan: int) -> None:
        x, sizes = source(node), part_sizes(node)
        for part in list(node.users):
            index = part.args[1]
            assert isinstance(index, int)
            start = sum(sizes[:index])
            y = graph.call(aten.slice.Tensor, x, plan, start, start + sizes[index], before=part)
            if node.target == UNBIND:
                y = graph.call(aten.reshape.default, y, list(shape(part)), before=part)
            graph.replace(part, y)


def part_sizes(node: fx.Node) -> list[int]:
    """How long each part of a cut is along its axis."""
    return [1 if node.target == UNBIND else int(part.shape[_axis(node)]) for part in node.meta["val"]]


def _axis(node: fx.Node) -> int:
    index = 1 if node.target == UNBIND else 2
    return int(argument(node, index)) % len(shape(source(node)))


def _layer_above(node: fx.Node) -> fx.Node | None:
    """The linear layer above a cut, through one permute and one reshape that nobody else reads."""
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
    axis = order[_axis(node)]
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


PROJECTIONS = SplitProjections()
SLICES = SplitsAsSlices()
