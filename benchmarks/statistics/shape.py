"""The shape of a row's samples: do they drift, have they two modes, are there many outliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .launches import Launch, Samples

BLOCKS = 6  # of a launch, whose medians show a trend
LEAST_FOR_DRIFT = 3 * BLOCKS
LEAST_FOR_MODES = 30
OUTLIER = 1.5  # times the median
MIN_SHARE = 0.1  # of the samples, for a mode
SEPARATION = 4.5  # standard deviations; halves of one normal distribution are 2.6 apart, of an even one 3.5
TREND_SIGNIFICANCE = 0.01


@dataclass(frozen=True)
class Modes:
    """Two modes: their relative distance, and the share of samples in the slower one."""

    gap: float
    slower_share: float


def drift(launches: Sequence[Launch]) -> float | None:
    """The relative change from beginning to end, where there is a trend: within launches or from launch to launch.

    A trend is a rank correlation (Kendall's τ) of block medians with time, significant at 1 %, within the launches or
    over all of them. 0 without one, None with too few samples.
    """
    long_enough = [launch for launch in launches if len(launch.steady) >= LEAST_FOR_DRIFT]
    if not long_enough:
        return None
    blocks = np.array([_block_levels(launch.steady) for launch in long_enough])
    within = (blocks - blocks.mean(axis=1, keepdims=True)).ravel()
    found = [trend(np.tile(np.arange(BLOCKS), len(blocks)), within)]
    if len(long_enough) > 1:
        found.append(trend(np.arange(blocks.size), blocks.ravel()))
    return max(found, key=abs)


def _block_levels(samples: Samples) -> Samples:
    return np.log([float(np.median(block)) for block in np.array_split(samples, BLOCKS)])


def trend(times: NDArray[np.int_], values: Samples) -> float:
    """The change from the first time to the last, by Theil and Sen's slope, if `values` have a trend; else 0."""
    from scipy.stats import kendalltau, theilslopes

    if np.ptp(values) == 0 or not kendalltau(times, values).pvalue < TREND_SIGNIFICANCE:
        return 0.0
    return float(np.expm1(theilslopes(values, times).slope * np.ptp(times)))


def two_modes(samples: Samples) -> Modes | None:
    """The two modes of the samples, if there are two.

    Otsu's threshold (1979) splits them; the halves are two modes where Ashman's D (Astronomical Journal 108, 1994) of
    them is above SEPARATION, each has a tenth of the samples, and the valley between them is nearly empty.
    """
    kept = np.sort(samples[samples <= OUTLIER * np.median(samples)])
    if len(kept) < LEAST_FOR_MODES or kept[0] == kept[-1]:
        return None
    counts = np.arange(1, len(kept))
    sums = np.cumsum(kept)
    low_means, high_means = sums[:-1] / counts, (sums[-1] - sums[:-1]) / (len(kept) - counts)
    split = int(np.argmax(counts * (len(kept) - counts) * (high_means - low_means) ** 2)) + 1
    low, high = kept[:split], kept[split:]
    share = len(high) / len(kept)
    distance = float(high.mean() - low.mean())
    separation = distance / max(float(np.sqrt((low.var() + high.var()) / 2)), 1e-9)
    valley = np.count_nonzero(np.abs(kept - (low.mean() + high.mean()) / 2) < distance / 8)
    if not MIN_SHARE <= share <= 1 - MIN_SHARE or separation < SEPARATION or valley > 0.05 * len(kept):
        return None
    return Modes(distance / float(low.mean()), share)


def outlier_share(samples: Samples) -> float:
    """The share of samples above OUTLIER times the median."""
    return float(np.mean(samples > OUTLIER * np.median(samples)))
