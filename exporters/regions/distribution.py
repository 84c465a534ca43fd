"""The region DISTRIBUTION: softmaxes whose values int8 cannot hold.

    heat = softmax(x) over 256 places        no value may be larger than a step of 1/256, which int8 softmax is fixed to
    softmax(where(keep, x, -1e30))           the choice has the range of the mask, and no step is left for x

Attention over few keys is neither: its weights are averaged by the matrix product that reads them. The region holds a
softmax that no matrix product reads, and a softmax of a choice with the choice.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from .operator import Operator, path_through_views, producers_of, readers_of


@dataclass(frozen=True)
class DistributionTypes:
    """Operator types of one format.

    Attributes:
        softmaxes: where the search starts.
        selects: choices between two values, as masks make them.
        products: matrix products of two computed values.
        views: move values about and compute nothing.
    """

    softmaxes: tuple[str, ...]
    selects: tuple[str, ...]
    products: tuple[str, ...]
    views: tuple[str, ...]


def distributions(operators: Iterable[Operator], types: DistributionTypes) -> list[Hashable]:
    """Keys of the operators in the region, in the graph's order."""
    graph = list(operators)
    producers, readers = producers_of(graph), readers_of(graph)
    region: set[Hashable] = set()
    for op in graph:
        if op.type in types.softmaxes:
            masked = path_through_views(op.inputs[0], producers, types.selects, types.views)
            if masked or not any(reader.type in types.products for reader in _all_readers(op, readers, types)):
                region |= {op.key, *masked}
    return [op.key for op in graph if op.key in region]


def _all_readers(
    operator: Operator, readers: dict[Hashable, list[Operator]], types: DistributionTypes
) -> Iterable[Operator]:
    """What reads an operator's results, through views."""
    todo = list(operator.outputs)
    while todo:
        for reader in readers.get(todo.pop(), []):
            if reader.type in types.views:
                todo += reader.outputs
            yield reader
