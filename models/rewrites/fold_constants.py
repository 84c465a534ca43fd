"""f(constants) -> its value: whatever does not depend on the input is computed once, here.

Position encodings are the usual case: sin, cos and pow over a grid, then a convolution, computed again at every
inference unless somebody folds them. A result that is much larger than what it is made of (an expanded mask, say) is
declined, since the file would grow by it.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph
from .rewrite import Rewrite

GROWTH_LIMIT_BYTES = 4 * 2**20


class FoldConstants(Rewrite):
    name = "fold_constants"
    reason = "what does not depend on the input need not be computed at every inference"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return isinstance(node.meta.get("val"), Tensor) and all(
            graph.constant(argument) is not None for argument in _computed_by(node).all_input_nodes
        )

    def check(self, graph: Graph, node: fx.Node) -> Tensor:
        computed_by = _computed_by(node)
        if torch.Tag.nondeterministic_seeded in getattr(computed_by.target, "tags", ()):
            raise RewriteRefused("it draws random numbers")
        value: Any = _evaluate(graph, computed_by)
        if computed_by is not node:
            value = value[node.args[1]]
        inputs = sum(c.nbytes for a in computed_by.all_input_nodes if (c := graph.constant(a)) is not None)
        assert isinstance(value, Tensor), "the pattern asks for one"
        if value.nbytes > inputs + GROWTH_LIMIT_BYTES:
            raise RewriteRefused(f"its value takes {value.nbytes / 2**20:.0f} MiB, what it is made of far less")
        return value

    def rewrite(self, graph: Graph, node: fx.Node, plan: Tensor) -> None:
        graph.replace(node, graph.add_constant(plan, "folded", before=node))


def _computed_by(node: fx.Node) -> fx.Node:
    """The operator itself; for one of several results, such as a part of a split, the operator that has them."""
    source = node.args[0] if node.target is operator.getitem else node
    return source if isinstance(source, fx.Node) and source.op == "call_function" else node


def _evaluate(graph: Graph, node: fx.Node) -> Any:
    def value(argument: fx.Node) -> Any:
        return graph.constant(argument)

    args, kwargs = fx.node.map_arg((node.args, node.kwargs), value)
    assert callable(node.target)
    with torch.no_grad():
        return node.target(*args, **kwargs)


REWRITE = FoldConstants()
