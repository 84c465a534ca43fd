"""Which operators of a graph only serve to pick labels, and therefore stay in float.

Int8 logits tie, and a tie decides a label at random. So everything between the last layer with weights and the integer
labels is left out of quantization: it computes on the dequantized logits. One walk serves all formats.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Operator:
    """An operator of any format: its identity, kind, and the values it reads and writes."""

    key: Hashable
    kind: str
    inputs: tuple[Hashable, ...]
    outputs: tuple[Hashable, ...]


def label_tail(operators: Iterable[Operator], pickers: Collection[str], layers: Collection[str]) -> list[Hashable]:
    """Keys of the operators in the tail, in graph order; empty where nothing picks labels.

    Args:
        operators: the graph, in any order.
        pickers: kinds that turn values into indices, such as ArgMax and TopK.
        layers: kinds that carry the network's weights; the walk up from the pickers stops at them.
    """
    graph = list(operators)
    producer = {value: op for op in graph for value in op.outputs}
    consumers: dict[Hashable, list[Operator]] = {}
    for op in graph:
        for value in op.inputs:
            consumers.setdefault(value, []).append(op)
    tail: set[Hashable] = set()

    down = [op for op in graph if op.kind in pickers]
    while down:
        op = down.pop()
        if op.key not in tail:
            tail.add(op.key)
            down += [user for value in op.outputs for user in consumers.get(value, [])]
    up = [op for op in graph if op.key in tail]
    while up:
        sources = (producer.get(value) for value in up.pop().inputs)
        for source in sources:
            if source is not None and source.key not in tail and source.kind not in layers:
                tail.add(source.key)
                up.append(source)
    return [op.key for op in graph if op.key in tail]
