"""Calibrated ranges, adjusted to what LiteRT's delegate takes.

XNNPACK computes an int8 BATCH_MATMUL only where the second operand's zero point is 0; otherwise TFLite's own kernel
runs, which takes fifteen times as many Arm instructions (8x49x36 by 8x36x49: 3.31 million at zero point -4, 0.22 million
at 0). So the ranges of these operands are made symmetric, from the operand upwards through views, which share its scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .tflite_file import FileGraph

# Operators whose output has the scale and zero point of their first input.
VIEWS = ("RESHAPE", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SPLIT", "GATHER", "GATHER_ND", "PAD", "BROADCAST_TO")
PRODUCT = "BATCH_MATMUL"

Ranges = Mapping[str, Mapping[str, Any]]


def with_symmetric_factors(graph: FileGraph, ranges: Ranges) -> dict[str, dict[str, Any]]:
    """The ranges with those of the second operands of matrix products symmetric, which puts zero point 0 there.

    Args:
        ranges: `min` and `max` of tensors by name, as ai-edge-quantizer's calibrator gives them.
    """
    adjusted = {name: dict(values) for name, values in ranges.items()}
    for name in _factors(graph):
        values = adjusted.get(name)
        if values and "min" in values and "max" in values:
            largest = np.maximum(np.abs(values["min"]), np.abs(values["max"]))
            # int8 reaches one step further below 0 than above it
            values["min"], values["max"] = -largest * 128 / 127, largest
    return adjusted


def _factors(graph: FileGraph) -> list[str]:
    """Names of the tensors that are, or that become by views alone, the second operand of a matrix product."""
    producer = {value: op for op in graph.operators for value in op.outputs}
    names = []
    for product in graph.operators:
        if product.type != PRODUCT:
            continue
        value = product.inputs[1]
        names.append(graph.tensors[value].name)
        while (op := producer.get(value)) is not None and op.type in VIEWS:
            value = op.inputs[1] if op.type == "SPLIT" else op.inputs[0]  # SPLIT's first input is the axis
            names.append(graph.tensors[value].name)
    return names
