"""Operator: one operator of any format's graph, as recipes and regions read it."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Operator:
    """One operator of a graph.

    Attributes:
        key: identity in the graph.
        type: as the format names it, such as "Conv", "CONV_2D" or "aten.conv2d.default".
        inputs, outputs: the values that it reads and writes.
        module: path of the module that it came from in the original network; "" where that cannot be traced.
    """

    key: Hashable
    type: str
    inputs: tuple[Hashable, ...]
    outputs: tuple[Hashable, ...]
    module: str = ""


def producers_of(operators: Iterable[Operator]) -> dict[Hashable, Operator]:
    """The operator that writes each value."""
    return {value: op for op in operators for value in op.outputs}


def readers_of(operators: Iterable[Operator]) -> dict[Hashable, list[Operator]]:
    """The operators that read each value, in the graph's order."""
    readers: dict[Hashable, list[Operator]] = {}
    for op in operators:
        for value in op.inputs:
            readers.setdefault(value, []).append(op)
    return readers


def path_through_views(
    value: Hashable,
    producers: Mapping[Hashable, Operator],
    ends: Collection[str],
    views: Collection[str],
    only_readers: Mapping[Hashable, Sequence[Operator]] | None = None,
) -> list[Hashable]:
    """Keys from a value upwards through views to an operator of a type in `ends`; empty where another one computes it.

    Args:
        only_readers: if given, the operators that read each value; empty too where several read one on the way.
    """
    path: list[Hashable] = []
    while (op := producers.get(value)) is not None and (only_readers is None or len(only_readers[value]) == 1):
        path.append(op.key)
        if op.type in ends:
            return path
        if op.type not in views:
            return []
        value = op.inputs[0]
    return []
