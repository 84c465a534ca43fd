"""f(constants) -> its value: whatever does not depend on the input is computed once, here.

Position encodings are the usual case: sin, cos and pow over a grid, then a convolution, computed again at every
inference unless somebody folds them. A result that is much larger than what it is made of (an expanded mask, say) is
declined, since the file would grow by it.
"""

from __future__ import annotations

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
            graph.constant(argument) is not None for argument in node.all_input_nodes
        )

    def check(self, graph: Graph, node: fx.Node) -> Tensor:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            raise RewriteRefused("it draws random numbers")
        value = _evaluate(graph, node)
        inputs = sum(c.nbytes for a in node.all_input_nodes if (c := graph.constant(a)) is not None)
        if value.nbytes > inputs + GROWTH_LIMIT_BYTES:
            raise RewriteRefused(f"its value takes {value.nbytes / 2**20:.0f} MiB, what it is made of far less")
        return value

    def rewrite(self, graph: Graph, node: fx.Node, plan: Tensor) -> None:
        graph.replace(node, graph.add_constant(plan, "folded", before=node))


def _evaluate(graph: Graph, node: fx.Node) -> Tensor:
    def value(argument: fx.Node) -> Any:
        return graph.constant(argument)

    args, kwargs = fx.node.map_arg((node.args, node.kwargs), value)
    assert callable(node.target)
    with torch.no_grad():
        result: Tensor = node.target(*args, **kwargs)
    return result


REWRITE = FoldConstants()
