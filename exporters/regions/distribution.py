"""The region DISTRIBUTION: softmaxes whose values int8 cannot hold.

    heat = softmax(x) over 256 places        no value may be larger than a step of 1/256, which int8 softmax is fixed to
    softmax(where(keep, x, -1e30))           the choice has the range of the mask, and no step is left for x

Attention over few keys is neither: its weights are averaged by the matrix product that reads them. The region holds a
softmax that no matrix product reads, and a softmax of a choice with the choice; and what it is averaged by, such as the
coordinates that a heat map expects: sums, and products with constants.
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
        averages: sums, and products, where the other operand is a constant.
        joins: put averages side by side.
    """

    softmaxes: tuple[str, ...]
    selects: tuple[str, ...]
    products: tuple[str, ...]
    views: tuple[str, ...]
    averages: tuple[str, ...]
    joins: tuple[str, ...]


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
                if not masked:
                    region |= _averages(op, graph, producers, types)
    return [op.key for op in graph if op.key in region]


def _averages(
    softmax: Operator, graph: list[Operator], producers: dict[Hashable, Operator], types: DistributionTypes
) -> set[Hashable]:
    """Keys of the averages of a softmax, of the views between, and of what joins them."""
    of_softmax, of_average = set(softmax.outputs), set[Hashable]()  # values that are views of either
    found: set[Hashable] = set()
    views: dict[Hashable, set[Hashable]] = {}  # of the softmax, by their value: only those before an average count
    for op in graph:
        computed = {value for value in op.inputs if value in producers}
        if not computed or not computed <= of_softmax | of_average:
            continue
        if op.type in types.averages and sum(value in producers for value in op.inputs) == 1:
            of_average |= set(op.outputs)
            found |= {op.key, *views.get(next(iter(computed)), set())}
        elif op.type in (*types.views, *types.joins) and computed <= of_average:
            of_average |= set(op.outputs)
            found.add(op.key)
        elif op.type in types.views and len(computed) == 1:
            of_softmax |= set(op.outputs)
            views |= {value: {op.key, *views.get(next(iter(computed)), set())} for value in op.outputs}
    return found


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
