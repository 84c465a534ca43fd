"""Confidence intervals of accuracies, and of the difference of two networks on the same images.

Shares of images have Wilson's interval (E. B. Wilson, JASA 22, 1927); the difference of two shares on the same images has
R. G. Newcombe's score interval for paired data (Statistics in Medicine 17, 1998, 2635-2650, method 10), which is sound
where nearly all images agree. Other figures, such as mIoU, are not means over images: their intervals are percentiles of a
bootstrap over images, drawn once for both networks, so that the difference is paired.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edgedeploy.core.results.evaluation import Estimate

Z = 1.959963984540054  # of a 95 % interval
RESAMPLES = 1_000
SEED = 0
BLOCK = 4_000_000  # weights that are in memory at a time
Weights = NDArray[np.float64]  # (resamples, images): how often each image was drawn


def share(hits: int, count: int) -> Estimate:
    """The share of images, with Wilson's interval."""
    p, z2 = hits / count, Z * Z
    middle = (p + z2 / (2 * count)) / (1 + z2 / count)
    half = Z / (1 + z2 / count) * math.sqrt(p * (1 - p) / count + z2 / (4 * count * count))
    return Estimate(p, max(0.0, middle - half) if hits else 0.0, min(1.0, middle + half) if hits < count else 1.0)


def difference_of_shares(first: Sequence[bool], second: Sequence[bool]) -> Estimate:
    """Share of the first minus share of the second, over the same images in the same order."""
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    both, only_a, only_b, none = ((a & b).sum(), (a & ~b).sum(), (~a & b).sum(), (~a & ~b).sum())
    one, other = share(int(a.sum()), len(a)), share(int(b.sum()), len(b))
    phi = _correlation(int(both), int(only_a), int(only_b), int(none))

    def half(below: float, above: float) -> float:
        return math.sqrt(max(0.0, below**2 - 2 * phi * below * above + above**2))

    value = one.value - other.value
    return Estimate(
        value,
        value - half(one.value - one.low, other.high - other.value),
        value + half(other.value - other.low, one.high - one.value),
    )


def _correlation(both: int, only_a: int, only_b: int, none: int) -> float:
    """Newcombe's phi, with his continuity correction."""
    count = both + only_a + only_b + none
    product = (both + only_a) * (only_b + none) * (both + only_b) * (only_a + none)
    if product == 0:
        return 0.0
    determinant = both * none - only_a * only_b
    corrected = max(determinant - count / 2, 0.0) if determinant > 0 else float(determinant)
    return corrected / math.sqrt(product)


def draws(count: int) -> Iterator[Weights]:
    """How often each of `count` images comes into each resample, in blocks of resamples; the seed is fixed."""
    rng = np.random.default_rng(SEED)
    rows = max(1, min(RESAMPLES, BLOCK // count))
    for first in range(0, RESAMPLES, rows):
        size = min(rows, RESAMPLES - first)
        yield rng.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)


def bootstrap(figure: Callable[[Weights], NDArray[np.float64]], count: int) -> Estimate:
    """A figure over `count` images, with a percentile interval.

    Args:
        figure: takes weights of the images, one row for each resample, and returns the figure of each row.
    """
    value = float(figure(np.ones((1, count)))[0])
    drawn = np.concatenate([figure(weights) for weights in draws(count)])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def mean(values: Sequence[float]) -> Callable[[Weights], NDArray[np.float64]]:
    """The mean of a value of each image, as `bootstrap` takes it."""
    array = np.asarray(values, dtype=np.float64)
    return lambda weights: weights @ array / weights.sum(axis=1)
