"""HardSwish between int8 tensors -> two integer products.

    x min(max(x / 6 + 1/2, 0), 1)

ONNX Runtime computes it in float, with two operators and two conversions: 17 instructions a value on Arm, instead of 6. The
gate is linear and saturates, as quantizing does: a product with a constant, whose result is quantized to [-3, 3] and read
again as [0, 1]. A table, as for Gelu, takes 4 instructions, a product 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .gates import CODES, Gate, to_gates
from .qdq_graph import Affine

FACTOR = 0.5  # a product with 1 could be taken for none
WRITTEN_SCALE = 6 / 255  # of x, before the factor
READ = Affine(1 / 255, -128)
# Zero lies between two of the 256 codes: half a step is what x is shifted by, in whole steps of its own
MAX_SHIFT = 8


def hard_swish_to_gate(model: Any) -> dict[str, float]:
    """Changes a quantized ModelProto in place.

    Returns, for each node that was replaced, the largest error in steps of its output.
    """
    return to_gates(model, "HardSwish", fit)


def fit(x: Affine, y: Affine) -> Gate:
    """The gate with the smallest mean error for an input and an output that are quantized so."""
    real = x.scale * (CODES - x.zero_point)
    exact = real * np.clip(real / 6 + 0.5, 0, 1)
    gates = []
    for shift in range(max(-MAX_SHIFT, -128 - x.zero_point), min(MAX_SHIFT, 127 - x.zero_point) + 1):
        offset = x.scale * shift / WRITTEN_SCALE
        zero_point = round(offset - 0.5)
        if not -128 <= zero_point <= 127:
            continue
        codes = np.clip(np.rint(real / WRITTEN_SCALE - offset) + zero_point, -128, 127)
        error = np.abs(real * (codes - READ.zero_point) * READ.scale - exact)
        read_x, written = Affine(x.scale, x.zero_point + shift), Affine(FACTOR * WRITTEN_SCALE, zero_point)
        gate = Gate(read_x, written, READ, float(error.max()) / y.scale, FACTOR)
        gates.append((float(error.mean()), gate))
    return min(gates, key=lambda found: found[0])[1]
