"""Layers with constant weights in a captured network, and how their weights are replaced."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, fx

from edgedeploy.core.recipe import OPERATOR_KINDS, NumberFormat, QuantRecipe, Region, operator_kind
from edgedeploy.models.rewrites.graph import Graph, argument, module_path

aten = torch.ops.aten
CONVOLUTIONS = (aten.conv2d.default, aten.conv2d.padding)
LAYERS = (*CONVOLUTIONS, aten.linear.default)


def is_layer(graph: Graph, node: fx.Node) -> bool:
    """Whether a node is a convolution or linear layer whose weight is a constant."""
    if node.op != "call_function" or node.target not in LAYERS:
        return False
    bias = argument(node, 2)
    return graph.constant(argument(node, 1)) is not None and (bias is None or graph.constant(bias) is not None)


def weight_of(graph: Graph, node: fx.Node) -> Tensor:
    """A layer's weight, (out, in/groups, ...)."""
    weight = graph.constant(argument(node, 1))
    assert weight is not None
    return weight


def groups_of(node: fx.Node) -> int:
    """A layer's groups; 1 for a linear one."""
    return 1 if node.target == aten.linear.default else int(argument(node, 6))


def row_steps(rows: Tensor) -> Tensor:
    """The step of int8 weights that have a scale for each row, (..., 1): the largest weight becomes 127 steps."""
    return rows.abs().amax(-1, keepdim=True).clamp_min(1e-30) / 127


def rounded_to_nearest(weight: Tensor) -> Tensor:
    """A weight on its int8 grid."""
    step = row_steps(weight.flatten(1)).view(-1, *[1] * (weight.ndim - 1))
    return (weight / step).round() * step


def int8_layers(graph: Graph, recipe: QuantRecipe, regions: Mapping[str, Region]) -> frozenset[str]:
    """The nodes of the layers whose weights are int8 by the recipe.

    Args:
        regions: the region of each node that is in one.
    """
    return frozenset(node.name for node in graph.nodes() if is_layer(graph, node) and _is_int8(recipe, node, regions))


def _is_int8(recipe: QuantRecipe, node: fx.Node, regions: Mapping[str, Region]) -> bool:
    """Whether every name that a rule may have for the operator, of whatever runtime, has an int8 format."""
    names = (str(node.target), *OPERATOR_KINDS[operator_kind(str(node.target))])
    module, region = module_path(node), regions.get(node.name)
    formats = {recipe.format_of(name, module, region) for name in names}
    return not formats & {NumberFormat.FLOAT32, NumberFormat.FLOAT16_WEIGHTS}


def with_exact_layers(exact: fx.GraphModule, rounded: fx.GraphModule, layers: Collection[str]) -> fx.GraphModule:
    """The rounded network with the weights and biases of these layers, named by their nodes, as they were."""
    of_exact, graph = Graph(exact, copied=False), Graph(rounded)
    nodes = {node.name: node for node in of_exact.nodes()}
    for node in graph.nodes():
        if node.name in layers:
            set_argument(graph, node, 1, weight_of(of_exact, nodes[node.name]), "weight")
            bias = of_exact.constant(argument(nodes[node.name], 2))
            if bias is not None:
                set_argument(graph, node, 2, bias, "bias")
    return graph.finish()


def set_argument(graph: Graph, node: fx.Node, index: int, value: Tensor, name: str) -> None:
    """Gives an operator another constant as an argument."""
    args = list(node.args) + [None] * (index + 1 - len(node.args))
    old, args[index] = args[index], graph.add_constant(value, name, before=node)
    key = node.target._schema.arguments[index].name  # type: ignore[union-attr]
    old = node.kwargs.get(key, old)
    node.args, node.kwargs = tuple(args), {k: v for k, v in node.kwargs.items() if k != key}
    if isinstance(old, fx.Node):
        graph.erase_if_unused(old)
