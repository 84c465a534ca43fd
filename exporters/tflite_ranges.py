"""Calibrated ranges, adjusted to what LiteRT's delegate takes.

What XNNPACK does not take runs in TFLite's own kernels, which cost many times as much on Arm:

- An int8 BATCH_MATMUL needs a second operand of zero point 0 (8x49x36 by 8x36x49: 3.31 million instructions at zero
  point -4, 0.22 million at 0). The ranges of these operands are made symmetric. That makes their steps larger; against it
  the largest values are clipped where this lessens the mean square error of the tensor on the calibration samples.
- An int8 ADD or SUB needs operands whose scale is at least 2^-10 of the result's. A layer scale of 1e-6 makes smaller
  ones. Their ranges are widened: what they lose is less than a thousandth of a step of the result.

Both hold from the operand upwards through views, which share its scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .ranges import Range, symmetric
from .tflite_file import FileGraph, FileOperator

# Operators whose output has the scale and zero point of their first input.
VIEWS = ("RESHAPE", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SPLIT", "GATHER", "GATHER_ND", "PAD", "BROADCAST_TO")
PRODUCT = "BATCH_MATMUL"
SUMS = ("ADD", "SUB")
LEAST_RATIO = 2.0**-10 * 1.01  # XNNPACK's limit, with room for the rounding of a scale
STEPS = 255  # of an int8 range

Ranges = Mapping[str, Mapping[str, Any]]


def symmetric_operands(graph: FileGraph) -> set[int]:
    """The tensors that need zero point 0: second operands of products, and what they are views of."""
    producers = _producers(graph)
    return {viewed for op in graph.operators if op.type == PRODUCT for viewed in _viewed(op.inputs[1], producers)}


def adjusted_ranges(
    graph: FileGraph, ranges: Ranges, estimates: Mapping[str, Range] | None = None
) -> dict[str, dict[str, Any]]:
    """The ranges with those adjusted that would keep an operator out of the delegate.

    Args:
        ranges: `min` and `max` of tensors by name, as ai-edge-quantizer's calibrator gives them.
        estimates: symmetric ranges of least error by the tensor's name; a symmetric operand without one keeps its largest
            value.
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
    for total in (op for op in graph.operators if op.type in SUMS):
        least = LEAST_RATIO * _scale(adjusted.get(graph.tensors[total.outputs[0]].name))
        for operand in total.inputs:
            for values in of_views(operand):
                scale = _scale(values)
                if 0 < scale < least:
                    values["min"], values["max"] = values["min"] * least / scale, values["max"] * least / scale
    return adjusted


def _producers(graph: FileGraph) -> dict[int, FileOperator]:
    return {output: op for op in graph.operators for output in op.outputs}


def _viewed(value: int, producers: Mapping[int, FileOperator]) -> Iterator[int]:
    """A value, and those that it is a view of."""
    yield value
    while (op := producers.get(value)) is not None and op.type in VIEWS:
        value = op.inputs[1] if op.type == "SPLIT" else op.inputs[0]  # SPLIT's first input is the axis
        yield value


def _scale(values: Mapping[str, Any] | None) -> float:
    """The scale of an int8 tensor with this range, which includes 0; 0 where there is none."""
    if not values or "min" not in values or "max" not in values:
        return 0.0
    return (max(0.0, float(np.max(values["max"]))) - min(0.0, float(np.min(values["min"])))) / STEPS
