"""Which operators of a graph make a norm, and therefore stay in float.

    r = rsqrt(max(sum x^2, eps))        L2             y = x r
    r = rsqrt(mean (x - m)^2 + eps)     LayerNorm      y = (x - m) r g + b, in whatever order the converter has it

A square needs twice the bits of its root, and a reciprocal of a small one may be a thousand times that of a large one: in
int8 both are mostly zeros. So everything from the squares to the last product with r is left out of quantization; it is a
few values a position beside the layers around it. One walk serves all formats.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from .label_tail import Operator


@dataclass(frozen=True)
class Kinds:
    """What a format calls the operators of a norm.

    Attributes:
        roots: the reciprocal root, where the walk starts.
        sums: reductions.
        squares: what the outer reduction reads.
        differences: what takes the mean off.
        products: what the reciprocal scales values with.
        between: what may stand between root and reduction, such as the addition of eps.
        views: reshapes and transposes.
        after: what gain and bias may be, and views behind the norm.
    """

    roots: tuple[str, ...]
    sums: tuple[str, ...]
    squares: tuple[str, ...]
    differences: tuple[str, ...]
    products: tuple[str, ...]
    between: tuple[str, ...]
    views: tuple[str, ...]
    after: tuple[str, ...]


def norm_operators(operators: Iterable[Operator], kinds: Kinds) -> list[Hashable]:
    """Keys of the operators that make norms, in graph order; `operators` are in an order that they can run in."""
    graph = list(operators)
    producer = {value: op for op in graph for value in op.outputs}
    norms: set[Hashable] = set()
    made: set[Hashable] = set()  # what they write
    normalised: set[Hashable] = set()  # what they read
    scales: set[Hashable] = set()  # the reciprocals
    for root in (op for op in graph if op.kind in kinds.roots):
        above = _up_to_squares(root, producer, kinds)
        if above:
            norms |= {op.key for op in above}
            made |= {value for op in above for value in op.outputs}
            normalised |= {value for op in above if op.kind in kinds.squares for value in op.inputs}
            scales |= set(root.outputs)
    for op in graph:  # in order: what an operator reads has been decided
        if op.key in norms:
            continue
        computed = [value for value in op.inputs if value in producer]
        is_scale = op.kind in kinds.views and any(value in scales for value in computed)
        scaled = op.kind in kinds.products and any(value in scales for value in computed)
        behind = (
            op.kind in kinds.after
            and any(value in made for value in computed)
            and all(value in made or value in normalised for value in computed)
        )
        if is_scale:
            scales |= set(op.outputs)
        if is_scale or scaled or behind:
            norms.add(op.key)
            made |= set(op.outputs)
    return [op.key for op in graph if op.key in norms]


def _up_to_squares(root: Operator, producer: dict[Hashable, Operator], kinds: Kinds) -> list[Operator]:
    """From the root up to the squares and the mean that they are taken around; empty where it roots another sum."""
    path, at = [root], root
    while at.kind not in kinds.sums:
        above = [op for value in at.inputs if (op := producer.get(value)) is not None]
        if len(above) != 1 or above[0].kind not in (*kinds.between, *kinds.views, *kinds.sums):
            return []
        at = above[0]
        path.append(at)
    squares = [op for value in at.inputs if (op := producer.get(value)) is not None and op.kind in kinds.squares]
    if not squares:
        return []
    path += squares
    for value in squares[0].inputs:
        centred = producer.get(value)
        if centred is not None and centred.kind in kinds.differences:
            means = [op for side in centred.inputs for op in _mean(side, producer, kinds)]
            path += [centred, *means] if means else []
        else:
            path += _mean(value, producer, kinds)
    return path


def _mean(value: Hashable, producer: dict[Hashable, Operator], kinds: Kinds) -> list[Operator]:
    """The reduction that makes a value, and the views between; empty where something else makes it."""
    path: list[Operator] = []
    while (op := producer.get(value)) is not None:
        path.append(op)
        if op.kind in kinds.sums:
            return path
        if op.kind not in kinds.views:
            return []
        value = op.inputs[0]
    return []
