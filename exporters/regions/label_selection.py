"""The region LABEL_SELECTION: operators between the last layer with weights and integer class labels.

Quantized logits tie, and a tie selects a label at random. Computed on dequantized logits, they do not.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from .operator import Operator, producers_of, readers_of


@dataclass(frozen=True)
class LabelSelectionTypes:
    """Operator types of one format.

    Attributes:
        selectors: turn values into indices, such as ArgMax and TopK.
        layers: carry the network's weights; the region ends before them.
    """

    selectors: tuple[str, ...]
    layers: tuple[str, ...]


def label_selection(operators: Iterable[Operator], types: LabelSelectionTypes) -> list[Hashable]:
    """Keys of the operators in the region, in the graph's order; empty for a network without labels.

    The selectors, all that reads their results, and all that any of these reads, up to the next layer.

    Args:
        operators: the graph, in any order.
    """
    graph = list(operators)
    producer, consumers = producers_of(graph), readers_of(graph)
    region: set[Hashable] = set()

    downstream = [op for op in graph if op.type in types.selectors]
    while downstream:
        op = downstream.pop()
        if op.key not in region:
            region.add(op.key)
            downstream += [user for value in op.outputs for user in consumers.get(value, [])]
    upstream = [op for op in graph if op.key in region]
    while upstream:
        for source in (producer.get(value) for value in upstream.pop().inputs):
            if source is not None and source.key not in region and source.type not in types.layers:
                region.add(source.key)
                upstream.append(source)
    return [op.key for op in graph if op.key in region]
