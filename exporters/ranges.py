"""The range of an activation from its values on the calibration samples, by one of the observers.

The observers are here and not the runtimes' own, so that they mean the same for every runtime. All but the first read a
histogram, whose bins grow with the values, so that its memory does not depend on the number of samples.

    min_max          the smallest and the largest value
    percentile       the range without the outermost 0.01 % of the values
    mse              the range whose rounding and clipping change the values least, in squares
    mse_percentile   at each end the wider of mse's and percentile's
    entropy          the range whose quantized histogram has the least Kullback-Leibler divergence from the real one
                     (Migacz, 8-bit inference with TensorRT, GTC 2017)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgedeploy.core.recipe import Observer

BINS = 2048  # for each sign: 16 for each step of int8
MOST_COUNTED = 2**15  # values of one array; evenly spread ones of a larger one, for the time
PERCENTILE = 99.99
SHRINKS = [number / 100 for number in range(10, 101)]  # of the full range, which are tried
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """The values that the first and the last quantized number stand for; 0 is between them or one of them."""

    low: float
    high: float

    def wider(self, share: float) -> Range:
        """The range with both ends further from 0."""
        return Range(self.low * (1 + share), self.high * (1 + share))


def symmetric(largest: float, levels: int = 256) -> Range:
    """The range with zero point 0 up to a value: signed numbers reach one step further below 0 than above it."""
    return Range(-largest * levels / (levels - 2), largest)


class Observing(Protocol):
    """Reads what a network's values are, one sample after the other."""

    def update(self, values: NDArray[Any]) -> None:
        """Takes the values of a sample in, of any shape."""


class RangeEstimator:
    """Reads values; gives their range.

    Args:
        observer: how.
        bits: of the quantized numbers.
        margin: by which share both ends reach further.
    """

    def __init__(self, observer: Observer, bits: int = 8, margin: float = 0.0) -> None:
        self.observer, self._levels, self._margin = observer, 2**bits, margin
        self._width = 0.0  # of a bin; 0 before the first value that is not 0
        self._counts: Floats = np.zeros(2 * BINS)
        self._low = self._high = 0.0

    def update(self, values: NDArray[Any]) -> None:
        """Counts the values. Smallest and largest are of all values, the histogram of up to MOST_COUNTED.

        Infinite ones are left out: no range holds them, and the end of a range, to which they are clipped, is below or
        above all others too. A pooling for the maximum pads with them.
        """
        flat = np.asarray(values).ravel()
        if flat.size and not math.isfinite(float(flat.min()) - float(flat.max())):
            flat = flat[np.isfinite(flat)]
        if not flat.size:
            return
        self._low, self._high = min(self._low, float(flat.min())), max(self._high, float(flat.max()))
        self._widen(max(-self._low, self._high))
        if self._width:
            counted = flat[:: _stride(flat.size)]
            bins = np.floor(counted * (1 / self._width)).astype(np.int64) + BINS
            self._counts += np.bincount(np.clip(bins, 0, 2 * BINS - 1), minlength=2 * BINS)

    def range(self) -> Range:
        """The range, which includes 0."""
        return self._observed().wider(self._margin)

    def _observed(self) -> Range:
        if not self._width or self.observer is Observer.MIN_MAX:
            return Range(self._low, self._high)
        if self.observer is Observer.PERCENTILE:
            return self._percentile()
        if self.observer is Observer.ENTROPY:
            return self._least(self._divergence)
        least = self._least(self._squared_error())
        if self.observer is Observer.MSE:
            return least
        percentile = self._percentile()
        return Range(min(least.low, percentile.low), max(least.high, percentile.high))

    def symmetric_range(self) -> Range:
        """The range with zero point 0 whose rounding and clipping change the values least, in squares."""
        largest = max(-self._low, self._high)
        if not self._width:
            return symmetric(largest, self._levels)
        least = min((symmetric(s * largest, self._levels) for s in SHRINKS), key=self._squared_error())
        return least.wider(self._margin)

    def _widen(self, largest: float) -> None:
        """Makes the bins reach the largest value; counts of bins that become one are added."""
        if largest <= 0.0:
            return
        width = 2.0 ** np.ceil(np.log2(largest / BINS) + 1e-9)
        if not self._width:
            self._width = width
        elif width > self._width:
            merged = np.floor_divide(np.arange(-BINS, BINS), int(width / self._width)) + BINS
            self._counts = np.bincount(merged, self._counts, minlength=2 * BINS).astype(np.float64)
            self._width = width

    @property
    def _centres(self) -> Floats:
        return np.asarray((np.arange(-BINS, BINS) + 0.5) * self._width, np.float64)

    def _percentile(self) -> Range:
        cut = (1 - PERCENTILE / 100) / 2 * self._counts.sum()
        below, above = np.cumsum(self._counts), np.cumsum(self._counts[::-1])[::-1]
        first = int(np.argmax(below > cut))
        last = int(np.flatnonzero(above > cut)[-1])
        edges = np.arange(-BINS, BINS + 1) * self._width
        return self._within(float(edges[first]), float(edges[last + 1]))

    def _within(self, low: float, high: float) -> Range:
        return Range(max(self._low, min(0.0, low)), min(self._high, max(0.0, high)))

    def _least(self, error: Callable[[Range], float]) -> Range:
        """The shrunk range of least error, each end by itself after both together."""
        both = min((Range(s * self._low, s * self._high) for s in SHRINKS), key=error)
        high = min((Range(both.low, s * self._high) for s in SHRINKS), key=error)
        return min((Range(s * self._low, high.high) for s in SHRINKS), key=error)

    def _steps(self, range: Range) -> NDArray[np.int64]:
        """The quantized number of each bin, counted from the range's low end."""
        step = max(range.high - range.low, 1e-300) / (self._levels - 1)
        return np.clip(np.rint((self._centres - range.low) / step), 0, self._levels - 1).astype(np.int64)

    def _squared_error(self) -> Callable[[Range], float]:
        """The squared error of a range, from the bins that hold values: hundreds of ranges are compared."""
        occupied = np.flatnonzero(self._counts)
        centres, counts, last = self._centres[occupied], self._counts[occupied], self._levels - 1

        def error(range: Range) -> float:
            step = max(range.high - range.low, 1e-300) / last
            above = centres - range.low
            return float(counts @ (above - np.clip(np.rint(above / step), 0, last) * step) ** 2)

        return error

    def _divergence(self, range: Range) -> float:
        """KL(real, quantized); values outside count at the range's ends."""
        centres, occupied = self._centres, self._counts > 0
        inside = (centres > range.low - self._width) & (centres < range.high + self._width) & occupied
        if not inside.any():
            return float("inf")
        kept = np.flatnonzero(inside)
        real, levels = self._counts[kept].copy(), self._steps(range)[kept]
        quantized = np.bincount(levels, real) / np.maximum(np.bincount(levels), 1)
        real[0] += self._counts[: kept[0]].sum()
        real[-1] += self._counts[kept[-1] + 1 :].sum()
        p, q = real / real.sum(), quantized[levels] / quantized[levels].sum()
        return float(np.sum(p * np.log(p / q)))


class LogitRangeEstimator(RangeEstimator):
    """Reads what a softmax over the last axis turns into weights.

    Values that weigh nothing need no steps of the range: a mask adds -100 to a logit, and the range down to there would
    leave a few steps for all others. In each row values count as no less than where all of them together would weigh 1/256.
    """

    def update(self, values: NDArray[Any]) -> None:
        """Counts the values of a sample, of shape (..., places)."""
        nothing = np.max(values, -1, keepdims=True) - math.log(256 * values.shape[-1])
        super().update(np.maximum(values, nothing))


def _stride(size: int) -> int:
    """The distance of counted values. It has no factor in common with any side, so that all channels are counted."""
    stride = -(-size // MOST_COUNTED)
    while math.gcd(stride, size) > 1:
        stride += 1
    return stride
