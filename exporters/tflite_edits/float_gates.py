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
    """Whether a value has one dimension, maybe beside ones of length 1, and only products of larger values read it."""
    shape = graph.tensors[value].shape
    size = math.prod(shape)
    readers = [op for op in graph.operators if value in op.inputs]
    larger = (op.type == "MUL" and math.prod(graph.tensors[op.outputs[0]].shape) > size for op in readers)
    return max(shape, default=1) == size and bool(readers) and all(larger)
