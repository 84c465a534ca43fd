"""Runs a captured network on samples, operator by operator, and keeps no value longer than it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from torch import Tensor, fx

from edgedeploy.models.rewrites.graph import Graph, Inputs

from .layers import is_layer

Values = list[Any]  # of one node, one for each sample


def layers_with_values(graph: Graph, samples: Sequence[Inputs]) -> Iterator[tuple[fx.Node, dict[fx.Node, Values]]]:
    """Each layer with constant weights, when it has run, and the values that are held then: its own and its inputs'.

    The graph must not change before the last one.
    """
    last_use = {source: node for node in graph.graph.nodes for source in node.all_input_nodes}
    held: dict[fx.Node, Values] = {}
    inputs = iter(zip(*samples, strict=True))
    for node in graph.graph.nodes:
        if node.op == "output":
            return
        if node.op == "placeholder":
            held[node] = [x.clone() for x in next(inputs)]
        elif node.op == "get_attr":
            held[node] = [attrgetter(str(node.target))(graph.module)] * len(samples)
        else:
            held[node] = run(node, held, len(samples))
            if is_layer(graph, node):
                yield node, held
        for source in node.all_input_nodes:
            if last_use[source] is node:
                del held[source]


def run(node: fx.Node, values: Mapping[Any, Values], count: int) -> Values:
    """An operator's value for each of `count` samples."""
    target: Callable[..., Any] = node.target  # type: ignore[assignment]

    def at(index: int) -> Any:
        def value(n: fx.Node) -> Any:
            held = values[n][index]
            return held.clone() if isinstance(held, Tensor) and writes_into_arguments(node.target) else held

        args, kwargs = fx.node.map_arg((node.args, node.kwargs), value)
        return target(*args, **kwargs)

    return [at(index) for index in range(count)]


def writes_into_arguments(target: Any) -> bool:
    """Whether an operator writes into an argument, which others may still read: it gets a copy."""
    return str(target).endswith("_.default")
