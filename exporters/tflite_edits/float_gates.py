"""Gates of one value for each channel, as squeeze-and-excitation has them, in static int8 files for LiteRT.

    x * sigmoid(g)        g (1, channels, 1, 1)

LiteRT's int8 LOGISTIC gives multiples of 1/256, of which 255/256 is the last: an open gate takes 0.4 % of its channels, in
each block of a network. In float, and rounded by its own range, it is open; for so few values the conversions cost next to
nothing. A sigmoid of each value of a map stays in int8.
"""

from __future__ import annotations

import dataclasses
import math

from edgedeploy.core.recipe import NumberFormat, RecipeRule
from edgedeploy.exporters.recipes import Assignment
from edgedeploy.exporters.tflite_file import FileGraph


def with_float_gates(graph: FileGraph, assignment: Assignment) -> Assignment:
    """Sigmoids in static int8 that give one value for each channel, for products with a map, become float.

    Args:
        graph: of the float file.
    """
    rules = dict(assignment.rules)
    for index, op in enumerate(graph.operators):
        if op.type == "LOGISTIC" and rules[index].format is NumberFormat.STATIC_INT8 and _is_gate(graph, op.outputs[0]):
            rules[index] = RecipeRule(NumberFormat.FLOAT32)
    return dataclasses.replace(assignment, rules=rules)


def _is_gate(graph: FileGraph, value: int) -> bool:
    shape = graph.tensors[value].shape
    readers = [op for op in graph.operators if value in op.inputs]
    one_each = max(shape, default=1) == _size(shape)
    return (
        one_each
        and bool(readers)
        and all(op.type == "MUL" and _is_larger(graph, op.outputs[0], shape) for op in readers)
    )


def _is_larger(graph: FileGraph, value: int, shape: tuple[int, ...]) -> bool:
    return _size(graph.tensors[value].shape) > _size(shape)


def _size(shape: tuple[int, ...]) -> int:
    return math.prod(shape)
