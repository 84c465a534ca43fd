"""The region NORMALIZATION: operators that make up an L2 norm or a LayerNorm.

    r = rsqrt(max(sum x^2, eps))        L2             y = x r
    r = rsqrt(mean (x - m)^2 + eps)     LayerNorm      y = (x - m) r g + b, in the converter's own order

A square needs twice the bits of its root, and the reciprocal of a small value may be a thousand times that of a large one:
in int8 both are mostly zeros. The region reaches from the squares to the last product with r. These are a few values per
position, beside the layers around them.

The pooling before or behind a norm is in the region as well, where nothing else reads what is between them: the norm is in
float, and a few pooled values cost less in float than the conversions around an int8 pooling.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass

from .operator import Operator, path_through_views, producers_of, readers_of


@dataclass(frozen=True)
class NormalizationTypes:
    """Operator types of one format.

    Attributes:
        roots: the reciprocal root, where the search starts.
        sums: reductions.
        squares: what the outer reduction reads.
        differences: what subtracts the mean.
        products: what multiplies values by the reciprocal.
        between: what may stand between root and reduction, such as the addition of eps.
        views: reshapes and transposes.
        after: gain, bias, and views that follow the norm.
        layers: those that a mean may be written as.
        norms: those that are one operator, with a float kernel.
    """

    roots: tuple[str, ...]
    sums: tuple[str, ...]
    squares: tuple[str, ...]
    differences: tuple[str, ...]
    products: tuple[str, ...]
    between: tuple[str, ...]
    views: tuple[str, ...]
    after: tuple[str, ...]
    layers: tuple[str, ...] = ()
    norms: tuple[str, ...] = ()


@dataclass
class _Found:
    """What the search has found so far.

    Attributes:
        norms: keys of the region's operators.
        written: values that they write.
        normalized: values that the squares read.
        scales: the reciprocals.
    """

    norms: set[Hashable]
    written: set[Hashable]
    normalized: set[Hashable]
    scales: set[Hashable]


def normalization(operators: Iterable[Operator], types: NormalizationTypes) -> list[Hashable]:
    """Keys of the operators in the region, in the graph's order.

    Args:
        operators: the graph, in an order in which it can run.
    """
    graph = list(operators)
    producer = producers_of(graph)
    found = _statistics(graph, producer, types)
    for op in graph:  # in order, so that what an operator reads has been decided before it
        if op.key not in found.norms:
            _add_if_applied(op, producer, types, found)
    found.norms |= _poolings(graph, producer, types, found.norms)
    return [op.key for op in graph if op.key in found.norms]


def _statistics(graph: list[Operator], producer: dict[Hashable, Operator], types: NormalizationTypes) -> _Found:
    """All that computes the reciprocals."""
    found = _Found(set(), set(), set(), set())
    for root in (op for op in graph if op.type in types.roots):
        path = _up_to_squares(root, producer, types)
        if path:
            found.norms |= {op.key for op in path}
            found.written |= {value for op in path for value in op.outputs}
            found.normalized |= {value for op in path if op.type in types.squares for value in op.inputs}
            found.scales |= set(root.outputs)
    return found


def _add_if_applied(op: Operator, producer: dict[Hashable, Operator], types: NormalizationTypes, found: _Found) -> None:
    """Adds an operator that reshapes a reciprocal, multiplies by one, or applies gain and bias."""
    computed = [value for value in op.inputs if value in producer]
    reads_scale = any(value in found.scales for value in computed)
    is_scale = op.type in types.views and reads_scale
    is_scaled = op.type in types.products and reads_scale
    follows = (
        op.type in types.after
        and any(value in found.written for value in computed)
        and all(value in found.written or value in found.normalized for value in computed)
    )
    if is_scale:
        found.scales |= set(op.outputs)
    if is_scale or is_scaled or follows:
        found.norms.add(op.key)
        found.written |= set(op.outputs)


def _poolings(
    graph: list[Operator], producer: dict[Hashable, Operator], types: NormalizationTypes, norms: Collection[Hashable]
) -> set[Hashable]:
    """The reductions before and behind norms, the views between, and those norms that are one operator."""
    readers, of_norms = readers_of(graph), {*norms, *(op.key for op in graph if op.type in types.norms)}
    last = {op.type for op in graph if op.key in of_norms}.difference(types.views)
    poolings: set[Hashable] = set()
    for op in graph:
        if op.type in types.norms:
            path = path_through_views(op.inputs[0], producer, types.sums, types.views, readers)
        elif op.type in types.sums and op.key not in norms:
            path = path_through_views(op.inputs[0], producer, last, types.views, readers)
        else:
            continue
        if path and (op.type in types.norms or path[-1] in of_norms):
            poolings |= {op.key, *path}
    return poolings


def _up_to_squares(root: Operator, producer: dict[Hashable, Operator], types: NormalizationTypes) -> list[Operator]:
    """From the root up to the squares and the mean that they are taken around; empty for the root of another value."""
    path, current = [root], root
    while current.type not in (*types.sums, *types.layers):
        sources = [op for value in current.inputs if (op := producer.get(value)) is not None]
        if len(sources) != 1 or sources[0].type not in (*types.between, *types.views, *types.sums, *types.layers):
            return []
        current = sources[0]
        path.append(current)
    squares = [op for value in current.inputs if (op := producer.get(value)) is not None and op.type in types.squares]
    if not squares:
        return []
    path += squares
    squared = tuple(dict.fromkeys(squares[0].inputs))
    difference = producer.get(squared[0])
    if len(squared) == 1 and difference is not None and difference.type in types.differences:
        means = _means(difference.inputs, producer, types)
        path += [difference, *means] if means else []
    elif len(squared) > 1:  # a squared difference, one operator
        path += _means(squared, producer, types)
    return path


def _means(
    operands: tuple[Hashable, ...], producer: dict[Hashable, Operator], types: NormalizationTypes
) -> list[Operator]:
    """The reductions that compute the operands of a difference, and the views between.

    One of them is the mean; where the other is a reduction too, such as the pooling before a classifier's norm, its few
    values stay in float as well. A layer is a mean only where it reads the other operand.
    """
    found: list[Operator] = []
    for value, other in (operands, operands[::-1]):
        path: list[Operator] = []
        while (op := producer.get(value)) is not None and op.type in types.views:
            path.append(op)
            value = op.inputs[0]
        if op is None:
            continue
        is_mean = op.type in types.layers and bool(
            _views_of(op.inputs[0], producer, types) & _views_of(other, producer, types)
        )
        if op.type in types.sums or is_mean:
            found += [*path, op]
    return found


def _views_of(value: Hashable, producer: dict[Hashable, Operator], types: NormalizationTypes) -> set[Hashable]:
    """A value, and those that it is a view of."""
    found = {value}
    while (op := producer.get(value)) is not None and op.type in types.views:
        value = op.inputs[0]
        found.add(value)
    return found
