"""Calibrated ranges, adjusted to what LiteRT's delegate takes.

What XNNPACK does not take runs in TFLite's own kernels, which cost many times as much on Arm:

- An int8 BATCH_MATMUL needs a second operand of zero point 0 (8x49x36 by 8x36x49: 3.31 million instructions at zero
  point -4, 0.22 million at 0). The ranges of these operands are made symmetric. That makes their steps larger, and a tenth
  of the largest value is given up against it: for normally distributed values the mean square error of 8 bits is least
  where they are clipped at 3.9 standard deviations, and the largest of 100000 is at 4.7.
- An int8 ADD or SUB needs operands whose scale is at least 2^-10 of the result's. A layer scale of 1e-6 makes smaller
  ones. Their ranges are widened: what they lose is less than a thousandth of a step of the result.

Both hold from the operand upwards through views, which share its scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .tflite_file import FileGraph, FileOperator

# Operators whose output has the scale and zero point of their first input.
VIEWS = ("RESHAPE", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SPLIT", "GATHER", "GATHER_ND", "PAD", "BROADCAST_TO")
PRODUCT = "BATCH_MATMUL"
SUMS = ("ADD", "SUB")
LEAST_RATIO = 2.0**-10 * 1.01  # XNNPACK's limit, with room for the rounding of a scale
STEPS = 255  # of an int8 range
KEPT_OF_LARGEST = 0.9  # values beyond it are clipped

Ranges = Mapping[str, Mapping[str, Any]]


def adjusted_ranges(graph: FileGraph, ranges: Ranges) -> dict[str, dict[str, Any]]:
    """The ranges with those adjusted that would keep an operator out of the delegate.

    Args:
        ranges: `min` and `max` of tensors by name, as ai-edge-quantizer's calibrator gives them.
    """
    adjusted = {name: dict(values) for name, values in ranges.items()}
    producers = {output: op for op in graph.operators for output in op.outputs}

    def of_views(value: int) -> Iterator[dict[str, Any]]:
        """The ranges of a value, and of those that it is a view of."""
        for viewed in _viewed(value, producers):
            values = adjusted.get(graph.tensors[viewed].name)
            if values and "min" in values and "max" in values:
                yield values

    for product in (op for op in graph.operators if op.type == PRODUCT):
        for values in of_views(product.inputs[1]):
            largest = KEPT_OF_LARGEST * np.maximum(np.abs(values["min"]), np.abs(values["max"]))
            # int8 reaches one step further below 0 than above it
            values["min"], values["max"] = -largest * 128 / 127, largest
    for total in (op for op in graph.operators if op.type in SUMS):
        least = LEAST_RATIO * _scale(adjusted.get(graph.tensors[total.outputs[0]].name))
        for operand in total.inputs:
            for values in of_views(operand):
                scale = _scale(values)
                if 0 < scale < least:
                    values["min"], values["max"] = values["min"] * least / scale, values["max"] * least / scale
    return adjusted


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
