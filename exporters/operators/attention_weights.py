"""Attention weights that are too small for the steps of an int8 softmax.

LiteRT's int8 softmax gives multiples of 1/256. Where attention over n places is nearly even, its weights are near 1/n: over
256 places all of them become one step, over 1,024 none, and what the attention gives is lost. A float softmax costs a few
instructions more, and its values are quantized with a range of their own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP = 1 / 256
STEPS = 255
SAMPLES = 4  # that the weights are looked at on
LEAST_SQNR_DB = 20.0  # of even attention over 90 places; at 14 and 16 MobileViT-S lost 6 dB of its logits


class SoftmaxRounding:
    """Reads what a softmax gives; tells what is left of it in steps of 1/256."""

    def __init__(self) -> None:
        self._signal = self._noise = 0.0

    def update(self, values: NDArray[Any]) -> None:
        """Adds the values of one sample, of any shape."""
        exact = values.astype(np.float64)
        rounded = np.clip(np.rint(exact / STEP), 0, STEPS) * STEP
        self._signal += float(np.sum(exact**2))
        self._noise += float(np.sum((exact - rounded) ** 2))

    @property
    def sqnr_db(self) -> float:
        """Infinite where nothing is rounded."""
        return 10 * math.log10(self._signal / self._noise) if self._noise and self._signal else math.inf

    @property
    def is_lost(self) -> bool:
        """Whether too little is left for int8."""
        return self.sqnr_db < LEAST_SQNR_DB
