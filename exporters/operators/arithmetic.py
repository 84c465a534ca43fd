"""Multiply-accumulates of one operator of a file, from the shapes of its tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Shape = Sequence[int]


@dataclass(frozen=True)
class Arithmetic:
    """What an operator multiplies and adds.

    Attributes:
        macs: multiply-accumulates of one inference.
        int8: of int8 values.
        depthwise: of a convolution with one input channel for each output channel.
    """

    macs: int = 0
    int8: bool = False
    depthwise: bool = False


NO_ARITHMETIC = Arithmetic()


def weighted(output: Shape, weight: Shape, out_channels: int, *, int8: bool, depthwise: bool = False) -> Arithmetic:
    """A convolution or linear layer: each output value takes all weights of its channel."""
    return Arithmetic(math.prod(output) * (math.prod(weight) // out_channels), int8, depthwise)


def transposed_convolution(data: Shape, weight: Shape, in_channels: int, *, int8: bool) -> Arithmetic:
    """Each input value is multiplied by all weights of its channel."""
    return Arithmetic(math.prod(data) * (math.prod(weight) // in_channels), int8)


def matrix_product(output: Shape, left: Shape, *, int8: bool) -> Arithmetic:
    """The product (..., M, N) of a matrix (..., M, K), or its transposed (..., K, M), with another one."""
    rows = output[-2] if len(output) > 1 else 1
    inner = left[-1] if len(left) < 2 or left[-2] == rows else left[-2]
    return Arithmetic(math.prod(output) * inner, int8)
