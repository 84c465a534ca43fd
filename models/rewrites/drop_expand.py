"""An `expand` before an operator that broadcasts by itself  ->  nothing.

    x * y.expand_as(x)            ->   x * y
    x * (1 + y.expand_as(x))      ->   x * (1 + y)
    sigmoid(y.expand_as(x))       ->   sigmoid(y).expand_as(x)
    y.expand(2, 6, 4).mT          ->   y.mT.expand(2, 4, 6)
    y.expand(shape of y)          ->   y

The result has the same shape and the same values; the copies are made later, and mostly never. Where an expand gives an
element-wise operator its shape alone, it moves behind the operator, whose readers are looked at next; so it does behind a
permute that such operators read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import fx

from .graph import Graph, is_elementwise, shape
from .layout import permutation
from .rewrite import Rewrite

aten = torch.ops.aten
EXPANDS = (aten.expand.default, aten.expand_as.default, aten.broadcast_to.default)


@dataclass(frozen=True)
class _Plan:
    """What to read instead of each expanded operand, and whether the operator's result is expanded instead."""

    instead: dict[fx.Node, fx.Node]
    moves: bool = False


class DropExpand(Rewrite):
    name = "drop_expand"
    reason = "operators broadcast by themselves; LiteRT's converter fails at some of the copies"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        if node.target in EXPANDS:
            return isinstance(node.args[0], fx.Node) and shape(node) == shape(node.args[0])
        if permutation(node) is not None:
            value = _expanded_of(node.args[0])
            same_rank = value is not None and len(shape(value)) == len(shape(node))
            return same_rank and all(is_elementwise(user) for user in node.users)
        return is_elementwise(node) and any(_expanded_of(argument) is not None for argument in node.args)

    def check(self, graph: Graph, node: fx.Node) -> _Plan:
        """Operands that the result's shape does not need are read as they were; else all are, if that is less work."""
        if node.target in EXPANDS or permutation(node) is not None:
            return _Plan({})
        expanded = {a: source for a in node.args if isinstance(a, fx.Node) and (source := _expanded_of(a)) is not None}
        instead: dict[fx.Node, fx.Node] = {}
        for operand, value in expanded.items():
            tried = {**instead, operand: value}
            if _result_shape(node, tried) == shape(node):
                instead = tried
        if len(instead) < len(expanded) and math.prod(_result_shape(node, expanded)) < math.prod(shape(node)):
            return _Plan(expanded, moves=True)
        return _Plan(instead)

    def rewrite(self, graph: Graph, node: fx.Node, plan: _Plan) -> None:
        if node.target in EXPANDS:
            graph.replace(node, node.args[0])  # type: ignore[arg-type]
        elif (order := permutation(node)) is not None:
            small = graph.call(aten.permute.default, _expanded_of(node.args[0]), list(order), before=node)
            graph.replace(node, graph.call(aten.expand.default, small, list(shape(node)), before=node))
        elif plan.moves:
            args = [plan.instead.get(a, a) if isinstance(a, fx.Node) else a for a in node.args]
            small = graph.call(node.target, *args, before=node, **node.kwargs)  # type: ignore[arg-type]
            graph.replace(node, graph.call(aten.expand.default, small, list(shape(node)), before=node))
        else:
            for old, new in plan.instead.items():
                node.replace_input_with(old, new)
                graph.erase_if_unused(old)


def _expanded_of(value: object) -> fx.Node | None:
    """What an `expand` reads; None for another operator and for a constant."""
    if isinstance(value, fx.Node) and value.target in EXPANDS and isinstance(value.args[0], fx.Node):
        return value.args[0]
    return None


def _result_shape(node: fx.Node, instead: Mapping[fx.Node, fx.Node]) -> tuple[int, ...]:
    operands = [instead.get(a, a) for a in node.args if isinstance(a, fx.Node)]
    return tuple(torch.broadcast_shapes(*map(shape, operands)))


REWRITE = DropExpand()
