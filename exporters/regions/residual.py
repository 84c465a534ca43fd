"""The region RESIDUAL: additions whose sums only norms and further additions read, as the stream of a transformer is.

    x = x + attention(norm(x));   x = x + mlp(norm(x))

A norm divides each position by its own size. In int8 all positions have one step, that of the largest, and a norm behind
it makes the error of a small position as large as its signal; and every addition rounds the whole stream again. The norms
are in float anyway, so that float additions save a rounding and cost no more conversions. A sum that a layer reads too
would be converted for it, and stays in int8.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass

from .operator import Operator, producers_of, readers_of


@dataclass(frozen=True)
class ResidualTypes:
    """Operator types of one format.

    Attributes:
        norms: those that are one operator, in float; others are the region NORMALIZATION.
        additions: of computed values, or of one and a constant, such as position encodings.
        joins: put values side by side, such as a class token and the others.
        products: matrix products without a bias of their own; an addition behind one is its bias.
        views: give the values another shape and do not move them; moved in float, they would cost four times as much.
    """

    norms: tuple[str, ...]
    additions: tuple[str, ...]
    joins: tuple[str, ...]
    products: tuple[str, ...]
    views: tuple[str, ...]


def residual(operators: Iterable[Operator], types: ResidualTypes, norms: Collection[Hashable]) -> list[Hashable]:
    """Keys of the operators in the region, in the graph's order.

    Args:
        operators: the graph, in an order in which it can run.
        norms: keys of the region NORMALIZATION.
    """
    graph = list(operators)
    norms = {*norms, *(op.key for op in graph if op.type in types.norms)}
    producers, readers = producers_of(graph), readers_of(graph)
    region: set[Hashable] = set()
    for op in reversed(graph):  # readers are decided before what they read
        if op.key in norms or op.type not in (*types.additions, *types.joins, *types.views):
            continue
        if op.type in types.additions and _is_bias(op, producers, types):
            continue
        of_it = [reader for value in op.outputs for reader in readers.get(value, [])]
        if of_it and all(reader.key in norms or reader.key in region for reader in of_it):
            region.add(op.key)
    return _without_lone_parts(graph, region, readers, types, norms)


def _is_bias(addition: Operator, producers: dict[Hashable, Operator], types: ResidualTypes) -> bool:
    computed = [producers[value] for value in addition.inputs if value in producers]
    return len(computed) == 1 and computed[0].type in types.products


def _without_lone_parts(
    graph: list[Operator],
    region: set[Hashable],
    readers: dict[Hashable, list[Operator]],
    types: ResidualTypes,
    norms: Collection[Hashable],
) -> list[Hashable]:
    """The region without what is no stream, in the graph's order, and with the norms of one operator that read it.

    An addition stays where it reads another one of the region, a constant, or what a norm reads too; between the results
    of two layers, such as the parts of a convolution, it would cost a conversion. Views stay behind an addition that
    does, joins before one. A quantizer may round what a norm reads, so that norms are in the region as well.
    """
    produced = {value for op in graph for value in op.outputs}
    additions = {op.key for op in graph if op.key in region and op.type in types.additions}

    def read_by_norm(value: Hashable) -> bool:
        """Whether a norm reads a value, or views of it."""
        return any(
            reader.key in norms or (reader.type in types.views and any(map(read_by_norm, reader.outputs)))
            for reader in readers.get(value, [])
        )

    after: set[Hashable] = set()
    found = []
    for op in graph:
        computed = [value for value in op.inputs if value in produced]
        reads_sum = bool(after.intersection(computed))
        is_joined = op.type in types.joins and any(
            reader.key in additions for value in op.outputs for reader in readers.get(value, [])
        )
        is_stream = op.key in additions and (len(computed) == 1 or any(map(read_by_norm, computed)))
        if op.key in region and (is_stream or is_joined or reads_sum):
            found.append(op.key)
            after |= set(op.outputs)
        elif op.type in types.norms and reads_sum:
            found.append(op.key)
    return found
