"""The region DIVISION: quotients of two computed values, and what they divide by.

    y = (q kv) / (q z + eps)        linear attention: both products have nearly all the bits of y

A small divisor that int8 rounds to zero makes the quotient infinite, and a quantized DIV ends the process; a reciprocal
has a range of which int8 resolves only the largest values. The region holds the division or reciprocal, the divisor up to
the matrix product or sum that it comes from, products with a reciprocal, and the matrix product that is divided.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from .operator import Operator, path_through_views, producers_of


@dataclass(frozen=True)
class DivisionTypes:
    """Operator types of one format.

    Attributes:
        divisions: read a dividend and a divisor, in this order.
        reciprocals: read a divisor.
        multiplications: element by element; one that reads a reciprocal is a division.
        products: matrix products of two computed values.
        layers: carry the network's weights; the region ends before them.
        views: move values about and compute nothing.
    """

    divisions: tuple[str, ...]
    reciprocals: tuple[str, ...]
    multiplications: tuple[str, ...]
    products: tuple[str, ...]
    layers: tuple[str, ...]
    views: tuple[str, ...]


def division(operators: Iterable[Operator], types: DivisionTypes) -> list[Hashable]:
    """Keys of the operators in the region, in the graph's order.

    Args:
        operators: the graph, in an order in which it can run.
    """
    graph = list(operators)
    producer = producers_of(graph)
    region: set[Hashable] = set()
    reciprocals: set[Hashable] = set()
    for op in graph:
        computed = [value for value in op.inputs if value in producer]
        dividends: list[Hashable] = []
        if op.type in types.divisions and len(op.inputs) == 2 and op.inputs[1] in producer:
            region |= {op.key, *_divisor(op.inputs[1], producer, types)}
            dividends = [op.inputs[0]]
            is_reciprocal = len(computed) == 1
        elif op.type in types.reciprocals:
            region |= {op.key, *_divisor(op.inputs[0], producer, types)}
            is_reciprocal = True
        elif op.type in (*types.views, *types.multiplications) and reciprocals.intersection(op.inputs):
            region.add(op.key)
            dividends = computed
            is_reciprocal = op.type in types.views or len(computed) == 1
        else:
            continue
        if is_reciprocal:
            reciprocals |= set(op.outputs)
        else:
            region |= {
                key for value in dividends for key in path_through_views(value, producer, types.products, types.views)
            }
    return [op.key for op in graph if op.key in region]


def _divisor(value: Hashable, producer: dict[Hashable, Operator], types: DivisionTypes) -> list[Hashable]:
    """From a divisor upwards to the operator that computes it from several values; layers are not in it."""
    path: list[Hashable] = []
    while (op := producer.get(value)) is not None and op.type not in types.layers:
        computed = [each for each in op.inputs if each in producer]
        if op.type in types.products and len(computed) == 1:  # a layer, as ONNX writes it
            break
        path.append(op.key)
        if len(computed) != 1:  # a product, or the square of one value
            break
        value = computed[0]
    return path
