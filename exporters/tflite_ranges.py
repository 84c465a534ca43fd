"""Calibrated ranges, adjusted to what LiteRT's delegate takes.

What XNNPACK does not take runs in TFLite's own kernels, which cost many times as much on Arm:

- An int8 BATCH_MATMUL needs a second operand of zero point 0 (8x49x36 by 8x36x49: 3.31 million instructions at zero
  point -4, 0.22 million at 0). The ranges of these operands are made symmetric. That makes their steps larger; against it
  the largest values are clipped where this lessens the mean square error of the tensor on the calibration samples.
- An int8 ADD or SUB needs operands whose scale is at least 2^-10 of the result's. A layer scale of 1e-6 makes smaller
  ones. Their ranges are widened: what they lose is less than a thousandth of a step of the result.

Both hold from the operand upwards through views, which share its scale.

A result's scale has a limit too: a layer's or MUL's must be more than 2^-8 of the product of its operands' scales, an ADD's
or SUB's more than 2^-8 of either's, a HARD_SWISH's more than 2^-7 of its operand's. Below it XNNPACK or LiteRT refuses the
whole file for a layer or HARD_SWISH, an ADD may end the process, and MUL and SUB run outside the delegate. Constant zeros
come there: a part of a split 7x7 kernel that meets only the padding of a 2x2 map. The ranges of such results are widened;
a whole range is less than what two steps of the operands make.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from .operators.xnnpack import LEAST_RATIO, LEAST_RESULT, STEPS
from .ranges import Range, symmetric
from .tflite_file import FileGraph, FileOperator

# Operators whose output has the scale and zero point of their first input.
VIEWS = ("RESHAPE", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SPLIT", "GATHER", "GATHER_ND", "PAD", "BROADCAST_TO")
PRODUCT = "BATCH_MATMUL"
SUMS = ("ADD", "SUB")
LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
LEAST_HARD_SWISH = 2.0**-7 * 1.01  # LiteRT's
WEIGHT_STEPS = 127  # from 0 to the largest weight

Ranges = Mapping[str, Mapping[str, Any]]


def symmetric_operands(graph: FileGraph) -> set[int]:
    """The tensors that need zero point 0: second operands of products, and what they are views of."""
    producers = _producers(graph)
    return {viewed for op in graph.operators if op.type == PRODUCT for viewed in _viewed(op.inputs[1], producers)}


def adjusted_ranges(
    graph: FileGraph,
    ranges: Ranges,
    estimates: Mapping[str, Range] | None = None,
    largest_constants: Mapping[int, float] | None = None,
) -> dict[str, dict[str, Any]]:
    """The ranges with those adjusted that would keep an operator out of the delegate, or have the file refused.

    Args:
        ranges: `min` and `max` of tensors by name, as ai-edge-quantizer's calibrator gives them.
        estimates: symmetric ranges of least error by the tensor's name; a symmetric operand without one keeps its largest
            value.
        largest_constants: the largest absolute value of constants by their tensor's number.
    """
    adjusted = {name: dict(values) for name, values in ranges.items()}
    producers = _producers(graph)

    def of_views(value: int) -> Iterator[dict[str, Any]]:
        """The ranges of a value, and of those that it is a view of."""
        for viewed in _viewed(value, producers):
            values = adjusted.get(graph.tensors[viewed].name)
            if values and "min" in values and "max" in values:
                yield values

    for name in (graph.tensors[value].name for value in symmetric_operands(graph)):
        if {"min", "max"} <= adjusted.get(name, {}).keys():
            values = adjusted[name]
            largest = max(float(np.max(np.abs(values[end]))) for end in ("min", "max"))
            chosen = (estimates or {}).get(name, symmetric(largest))
            values["min"] = np.full_like(values["min"], chosen.low)
            values["max"] = np.full_like(values["max"], chosen.high)

    def step(value: int) -> float:
        """The scale of a value, which is that of what it is a view of; 0 where it is not known."""
        if value in (largest_constants or {}):
            return (largest_constants or {})[value] / WEIGHT_STEPS
        return max((_scale(values) for values in of_views(value)), default=0.0)

    for op in graph.operators:  # in order: a result's scale is an operand's of what follows
        values = adjusted.get(graph.tensors[op.outputs[0]].name, {})
        if {"min", "max"} <= values.keys():
            _widen(values, _least_scale(op, step))
    for total in (op for op in graph.operators if op.type in SUMS):
        least = LEAST_RATIO * _scale(adjusted.get(graph.tensors[total.outputs[0]].name))
        for operand in total.inputs:
            for values in of_views(operand):
                _widen(values, least)
    return adjusted


def _producers(graph: FileGraph) -> dict[int, FileOperator]:
    return {output: op for op in graph.operators for output in op.outputs}


def _viewed(value: int, producers: Mapping[int, FileOperator]) -> Iterator[int]:
    """A value, and those that it is a view of."""
    yield value
    while (op := producers.get(value)) is not None and op.type in VIEWS:
        value = op.inputs[1] if op.type == "SPLIT" else op.inputs[0]  # SPLIT's first input is the axis
        yield value


def _least_scale(op: FileOperator, step: Callable[[int], float]) -> float:
    """The smallest scale of an operator's result with which it runs in the delegate; 0 where there is no limit."""
    operands = op.inputs[1:3] if op.type == "TRANSPOSE_CONV" else op.inputs[:2]  # its first input is a shape
    if op.type in (*LAYERS, "MUL"):
        return LEAST_RESULT * math.prod(map(step, operands))
    if op.type in SUMS:
        return LEAST_RESULT * max(map(step, operands))
    return LEAST_HARD_SWISH * step(op.inputs[0]) if op.type == "HARD_SWISH" else 0.0


def _widen(values: dict[str, Any], least: float) -> None:
    """Widens a range whose scale is below the least one; constant zeros get one that is as far below 0 as above it."""
    scale = _scale(values)
    if scale >= least:
        return
    if scale > 0:
        values["min"], values["max"] = values["min"] * least / scale, values["max"] * least / scale
    else:
        chosen = symmetric(least * WEIGHT_STEPS)
        values["min"], values["max"] = np.full_like(values["min"], chosen.low), np.full_like(values["max"], chosen.high)


def _scale(values: Mapping[str, Any] | None) -> float:
    """The scale of an int8 tensor with this range, which includes 0; 0 where there is none."""
    if not values or "min" not in values or "max" not in values:
        return 0.0
    return (max(0.0, float(np.max(values["max"]))) - min(0.0, float(np.min(values["min"])))) / STEPS
