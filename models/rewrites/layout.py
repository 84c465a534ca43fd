"""Permutes: reading them, and moving them down the graph until another one follows.

f(permute(x))           = permute(f(x))                 f elementwise
permute(x) * c          = permute(x * inverse(c))       c constant; the same for +
permute(permute(x, p), q) = permute(x, p[q])            nothing at all where p[q] is the identity
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

from .graph import Graph, argument, shape, single_user, source

aten = torch.ops.aten
# one input, one output, every value by itself
UNARY = (
    aten.gelu.default,
    aten.relu.default,
    aten.relu6.default,
    aten.silu.default,
    aten.sigmoid.default,
    aten.tanh.default,
    aten.hardtanh.default,
    aten.hardswish.default,
    aten.hardsigmoid.default,
    aten.clamp.default,
    aten.clamp_min.default,
)
COMMUTATIVE = (aten.mul.Tensor, aten.add.Tensor)
VIEWS = (aten.reshape.default, aten.view.default, aten.flatten.using_ints, aten.unsqueeze.default, aten.squeeze.dim)
TO_CHANNELS_LAST, TO_CHANNELS_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def is_mean_of_map(node: fx.Node) -> bool:
    """Whether it averages the height and width of a value (B, C, H, W)."""
    if node.target != aten.mean.dim or len(shape(source(node))) != 4 or argument(node, 1) is None:
        return False
    return sorted(axis % 4 for axis in argument(node, 1)) == [2, 3]


def permutation(node: fx.Node) -> tuple[int, ...] | None:
    """The permutation that a permute or transpose does, as permute's argument; None for other operators."""
    rank = len(shape(node)) if node.target in (aten.permute.default, aten.transpose.int) else 0
    if node.target == aten.permute.default:
        return tuple(d % rank for d in argument(node, 1))
    if node.target == aten.transpose.int:
        order = list(range(rank))
        a, b = argument(node, 1) % rank, argument(node, 2) % rank
        order[a], order[b] = order[b], order[a]
        return tuple(order)
    return None


def inverse(order: Sequence[int]) -> tuple[int, ...]:
    """The inverse permutation of `order`."""
    return tuple(sorted(range(len(order)), key=lambda axis: order[axis]))


def compose(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    """The one permutation that does `first`, then `second`."""
    return tuple(first[axis] for axis in second)


def passes(graph: Graph, node: fx.Node, value: fx.Node) -> bool:
    """Whether a permute that makes `value` may as well come after `node`."""
    if node.target in UNARY:
        return node.args[0] is value
    return node.target in COMMUTATIVE and not node.kwargs and _constant_factor(graph, node, value) is not None


def sink(graph: Graph, permuted: fx.Node) -> None:
    """Moves a permute down as far as single users let it pass; where another permute follows, the two become one."""
    while (user := single_user(permuted)) is not None:
        order, x = permutation(permuted), source(permuted)
        assert order is not None
        if (second := permutation(user)) is not None:
            both = compose(order, second)
            same = both == tuple(range(len(both)))
            graph.replace(user, x if same else graph.call(aten.permute.default, x, list(both), before=user))
            return
        if user.target in VIEWS and _sink_through_view(graph, permuted, user):
            return
        if not passes(graph, user, permuted):
            return
        assert callable(user.target)
        if user.target in UNARY:
            moved = graph.call(user.target, x, *user.args[1:], before=user, **user.kwargs)
        else:
            factor: Any = _constant_factor(graph, user, permuted)
            if isinstance(factor, Tensor):
                full = factor.reshape([1] * (len(order) - factor.ndim) + list(factor.shape))
                permuted_factor = graph.add_constant(full.permute(inverse(order)), "permuted", before=user)
                moved = graph.call(user.target, x, permuted_factor, before=user)
            else:
                moved = graph.call(user.target, x, factor, before=user)
        after = graph.call(aten.permute.default, moved, list(order), before=user)
        graph.replace(user, after)
        permuted = after


def reaches_permute(view: fx.Node, value: fx.Node) -> bool:
    """Whether a view of `value` is between two permutes that can become one."""
    if view.target not in VIEWS or (user := single_user(view)) is None or permutation(user) is None:
        return False
    return grouping(shape(value), shape(view)) is not None or grouping(shape(view), shape(value)) is not None


def grouping(coarse: Sequence[int], fine: Sequence[int]) -> list[list[int]] | None:
    """For each dimension of `coarse` the neighbouring dimensions of `fine` that it splits into; None if it does not."""
    groups: list[list[int]] = []
    at = 0
    for side in coarse:
        group: list[int] = []
        product = 1
        while at < len(fine) and (product < side or (not group and fine[at] == side)):
            product *= fine[at]
            group.append(at)
            at += 1
        if product != side or not group:
            return None
        groups.append(group)
    return groups if at == len(fine) else None


def _sink_through_view(graph: Graph, permuted: fx.Node, view: fx.Node) -> bool:
    if not reaches_permute(view, permuted):
        return False
    user, order, x = single_user(view), permutation(permuted), source(permuted)
    assert user is not None
    second = permutation(user)
    assert order is not None
    assert second is not None
    if (groups := grouping(shape(permuted), shape(view))) is not None:
        # split first: dimension order[i] of x splits as group i of the view
        split = [groups[order.index(axis)] for axis in range(len(order))]
        x = graph.call(aten.reshape.default, x, [shape(view)[i] for group in split for i in group], before=user)
        position = {i: at for at, i in enumerate(i for group in split for i in group)}
        both = [position[i] for i in second]
    else:
        groups = grouping(shape(view), shape(permuted))
        assert groups is not None
        both = [order[i] for axis in second for i in groups[axis]]
    y = x if both == sorted(both) else graph.call(aten.permute.default, x, both, before=user)
    if shape(y) != shape(user):
        y = graph.call(aten.reshape.default, y, list(shape(user)), before=user)
    graph.replace(user, y)
    return True


def _constant_factor(graph: Graph, node: fx.Node, value: fx.Node) -> Tensor | float | None:
    """The other operand of a product or sum, where it is constant and no larger than `value`."""
    other = node.args[1] if node.args[0] is value else node.args[0]
    if isinstance(other, int | float):
        return other
    constant = graph.constant(other)
    fits = constant is not None and shape(node) == shape(value) and constant.ndim <= len(shape(value))
    return constant if fits else None


def axis_of_view(before: tuple[int, ...], after: tuple[int, ...], axis: int) -> int | None:
    """The dimension of `after` that is dimension `axis` of `before`, whole and alone."""
    outer, inner = torch.Size(before[:axis]).numel(), torch.Size(before[axis + 1 :]).numel()
    for candidate, side in enumerate(after):
        sides = torch.Size(after[:candidate]).numel(), side, torch.Size(after[candidate + 1 :]).numel()
        if sides == (outer, before[axis], inner):
            return candidate
    return None
