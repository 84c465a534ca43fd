"""Gelu between int8 tensors -> a table and a product.

    x Φ(x)  ~  x min(s(k (x - d)) / t, 1)          s: the logistic function

ONNX Runtime has no integer GELU: it dequantizes, computes 12 (tanh) or 22 (erf) instructions a value in float, and
quantizes. It does have an integer Sigmoid, a table of 256 entries, and an integer product: 7 instructions a value for
both together, instead of 16. With k = 1.702 and t = 1 this is the well-known x s(1.702 x), which is up to 0.02 off. Here
the constants are chosen for each tensor, and they cost nothing because they are read out of scales and zero points:

    k     the scale that Sigmoid reads its input with, over the tensor's own
    d     the zero point that it reads it with, over the tensor's own
    t     Sigmoid's result is quantized to [0, t] and saturates there, so that Φ reaches 1
    r, z  the scale and zero point that the product reads it with

An int8 input has 256 values, so that the error is known before it is used. Of the constants with which none of the 256
has an error of more than MAX_ERROR_STEPS of the output, a search takes those with the smallest error, weighted as a normal
distribution that fills the range. Where there are none, the node stays float.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .gates import CODES, MAX_ERROR_STEPS, Gate, to_gates
from .qdq_graph import Affine

LARGEST_WEIGHT = 0.2  # of the largest error beside the mean one, in the search
SIGMAS_IN_RANGE = 3.0
SLOPES = np.linspace(1.45, 2.1, 27)
TOPS = np.linspace(0.95, 1.0, 11)
MAX_SHIFT = 0.12  # of d, in units of x
GATE_ZERO_POINTS = (-128, -127, -126, -125)


def gelu_to_gate(model: Any) -> dict[str, float]:
    """Changes a quantized ModelProto in place.

    Returns, for each node that was replaced, the largest error in steps of its output.
    """
    return to_gates(model, "Gelu", fit)


def fit(x: Affine, y: Affine) -> Gate:
    """The gate with the smallest error for an input and an output that are quantized so; one within the bound if any is."""
    real = x.scale * (CODES - x.zero_point)
    exact = np.array([value * 0.5 * (1 + math.erf(value / math.sqrt(2))) for value in real])
    weight = np.exp(-0.5 * (SIGMAS_IN_RANGE * real / np.abs(real).max()) ** 2)
    weight /= weight.sum()
    shifts = range(min(int(MAX_SHIFT / x.scale) + 2, 128 - x.zero_point))
    best, smallest = None, (True, math.inf)
    for slope in SLOPES:
        for shift in shifts:
            logistic = 1 / (1 + np.exp(-slope * (real - x.scale * shift)))
            for top in TOPS:
                codes = np.clip(np.rint(logistic / (top / 255)) - 128, -128, 127)
                for zero_point in GATE_ZERO_POINTS:
                    scale, mean, largest = _error(real * (codes - zero_point), exact, weight)
                    score = largest > MAX_ERROR_STEPS * y.scale, (mean + LARGEST_WEIGHT * largest) / y.scale
                    if score < smallest:
                        smallest = score
                        best = Gate(
                            Affine(slope * x.scale, x.zero_point + shift),
                            Affine(top / 255, -128),
                            Affine(scale, zero_point),
                            largest / y.scale,
                        )
    assert best is not None, "there is always a shift of zero"
    return best


def _error(
    product: NDArray[np.float64], exact: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[float, float, float]:
    """The scale that brings a product closest to the exact values, and its weighted mean and largest error."""
    scale = float((weight * product * exact).sum() / (weight * product * product).sum())
    error = product * scale - exact
    return scale, math.sqrt((weight * error**2).sum()), float(np.abs(error).max())
