"""A weight or bias that several layers read  ->  one for each of them.

    scores = [head(level) for level in pyramid]     ->     head, head', head'' with equal parameters

XNNPACK's quantizer takes a layer whose parameters no other layer has claimed: the first call of a shared head is int8, the
others stay in float, and read the bias that the first one has made integers of. Such a file does not load.
"""

from __future__ import annotations

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph
from .rewrite import Rewrite

aten = torch.ops.aten
LAYERS = (
    aten.linear.default, aten.conv1d.default, aten.conv2d.default, aten.conv2d.padding, aten.conv_transpose2d.input,
)  # fmt: skip
PARAMETERS = (1, 2)  # positions of weight and bias


class OwnParameters(Rewrite):
    name = "own_parameters"
    reason = "ExecuTorch's quantizer makes int8 of one of the layers that share a parameter, and breaks the others"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target in LAYERS and any(_readers(graph, node, index) for index in PARAMETERS)

    def check(self, graph: Graph, node: fx.Node) -> list[int]:
        """The positions of the parameters that an earlier layer reads too."""
        order = {other: place for place, other in enumerate(graph.graph.nodes)}
        shared = [i for i in PARAMETERS if any(order[o] < order[node] for o in _readers(graph, node, i))]
        if not shared:
            raise RewriteRefused("it is the first that reads them, and keeps them")
        return shared

    def rewrite(self, graph: Graph, node: fx.Node, plan: list[int]) -> None:
        for index in plan:
            old = node.args[index]
            assert isinstance(old, fx.Node), "a parameter is read by a node"
            value = graph.constant(old)
            assert value is not None, "the pattern asks for a constant"
            own = graph.add_constant(value, "own", before=node)
            node.args = (*node.args[:index], own, *node.args[index + 1 :])


def _readers(graph: Graph, node: fx.Node, index: int) -> list[fx.Node]:
    """The other layers that read the same constant, by whichever node."""
    parameter = node.args[index] if index < len(node.args) else None
    value = graph.constant(parameter)
    if value is None:
        return []
    assert isinstance(parameter, fx.Node), "a constant is read by a node"
    nodes = [other for other in graph.graph.nodes if other.op == "get_attr" and other.target == parameter.target]
    return [user for reader in nodes for user in reader.users if user is not node and user.target in LAYERS]


REWRITE = OwnParameters()
