"""The region PREPROCESSING: arithmetic of the network's inputs with constants, such as a normalization inside the network.

In int8 the input is rounded first, and each operator rounds once more before the first layer reads it. In float the layer's
input is the only one that is rounded.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from .operator import Operator, producers_of, readers_of


@dataclass(frozen=True)
class PreprocessingTypes:
    """Operator types of one format.

    Attributes:
        arithmetic: additions, subtractions, products and quotients.
        views: change the order or shape of values.
    """

    arithmetic: tuple[str, ...]
    views: tuple[str, ...]


def preprocessing(operators: Iterable[Operator], types: PreprocessingTypes) -> list[Hashable]:
    """Keys of the operators in the region, in the graph's order; empty where the first operator is a layer.

    Args:
        operators: the graph, in an order in which it can run.
    """
    graph = list(operators)
    computed, readers = producers_of(graph), readers_of(graph)
    found: dict[Hashable, Operator] = {}
    for op in graph:
        sources = [computed[value].key for value in op.inputs if value in computed]
        if op.type in (*types.arithmetic, *types.views) and all(key in found for key in sources):
            found[op.key] = op
    for op in reversed(list(found.values())):  # views that lead to no arithmetic are no part of it
        read_within = any(reader.key in found for value in op.outputs for reader in readers.get(value, ()))
        if op.type in types.views and not read_within:
            del found[op.key]
    return list(found)
