"""permute ∘ elementwise or view ∘ permute -> the same with one permute or none.

Every permute copies a whole map. Two in a row are one, and a pair of inverses is none; elementwise operators
between them do not depend on the order of the values, and constants that take part are permuted once, here. A view that
splits channels into heads, or merges heads into channels, can as well come before or after. The rules are in `layout`.
"""

from __future__ import annotations

from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, operator_name, single_user
from .layout import passes, permutation, reaches_permute, sink
from .rewrite import Rewrite


class CancelPermutes(Rewrite):
    name = "cancel_permutes"
    reason = "a permute copies a whole map; two in a row are one, or none"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return permutation(node) is not None

    def check(self, graph: Graph, node: fx.Node) -> None:
        value = node
        while (user := single_user(value)) is not None and passes(graph, user, value):
            value = user
        if user is None:
            raise RewriteRefused("several operators read it")
        if permutation(user) is None and not reaches_permute(user, value):
            raise RewriteRefused(f"no other permute follows: {operator_name(user)} needs this order")

    def rewrite(self, graph: Graph, node: fx.Node, plan: None) -> None:
        sink(graph, node)


REWRITE = CancelPermutes()
