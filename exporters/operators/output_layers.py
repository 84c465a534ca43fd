"""The layers that give a network's outputs: one vector for each image, such as logits.

In static int8 they have float results, and quantize their input in each run, by the range that it has then: the range of
calibration holds the inputs of all images and is wider. Before that, the input is clipped to what calibration has seen, as
the fixed range of any other layer clips it: what lies outside is mostly error. EdgeViT's features, with random weights, are
within 0.04 of each other, and errors of the layers before them are up to 0.27. Clipped, its logits gain 3 to 6 dB.
"""

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


def operators_before(
    operators: Iterable[Operator], layers: Iterable[OutputLayer], types: Collection[str], views: Collection[str]
) -> list[Hashable]:
    """Keys of the operators whose results only these layers read, maybe through views, and of these views.

    In int8 what such a mean or activation gives would be rounded by a fixed range, and then again by its own.

    Args:
        operators: the graph, in an order in which it can run.
        types: of the operators that are asked for.
        views: operator types of the format.
    """
    graph = list(operators)
    producers, readers = producers_of(graph), readers_of(graph)
    inputs = {op.key: op.inputs[0] for op in graph if op.inputs}
    paths = (path_through_views(inputs[one.layer], producers, types, views, readers) for one in layers)
    return [key for path in paths for key in path]
