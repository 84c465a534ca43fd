"""The layers that give a network's outputs: one vector for each image, such as logits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edgedeploy.exporters.regions import Operator
from edgedeploy.exporters.regions.operator import path_through_views, producers_of, readers_of


@dataclass(frozen=True)
class OutputLayer:
    """A layer, the views of its result up to the network's output, by their keys, and that output's number."""

    layer: Hashable
    views: tuple[Hashable, ...]
    output: int


def output_layers(
    operators: Iterable[Operator],
    outputs: Sequence[Hashable],
    shape_of: Callable[[Any], Sequence[int]],
    layers: Collection[str],
    views: Collection[str],
) -> list[OutputLayer]:
    """The layers whose results are outputs of the network with two dimensions, (batch, channels), and nothing else.

    Args:
        operators: the graph, in an order in which it can run.
        outputs: the network's, as values of the graph.
        shape_of: a value's shape.
        layers, views: operator types of the format.
    """
    graph = list(operators)
    producers, readers = producers_of(graph), readers_of(graph)
    by_key = {op.key: op for op in graph}
    found = []
    for number, output in enumerate(outputs):
        path = path_through_views(output, producers, layers, views) if len(shape_of(output)) == 2 else []
        inner = [value for key in path for value in by_key[key].outputs if value != output]
        if path and not readers.get(output) and all(len(readers.get(value, [])) == 1 for value in inner):
            found.append(OutputLayer(path[-1], tuple(path[:-1]), number))
    return found
