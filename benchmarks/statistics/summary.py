"""The summary of latency samples.

Latency samples have a lower bound (the work itself) and a long tail (everything else that the machine does), so order
statistics are used and never a standard deviation. Quantiles are Hyndman & Fan's type 7 (numpy's default).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgedeploy.core.measurement import Latency


def summarise(samples_ns: Sequence[int] | NDArray[np.float64]) -> Latency:
    """Minimum, median, 90th and 99th percentile and mean, in ns; p99 where there are samples enough.

    Raises ValueError without samples.
    """
    samples = np.asarray(samples_ns, dtype=np.float64)
    if not samples.size:
        raise ValueError("no samples to summarise")
    p50, p90, p99 = np.quantile(samples, [0.5, 0.9, 0.99])
    return Latency(
        min=round(float(samples.min())),
        median=round(float(p50)),
        p90=round(float(p90)),
        p99=round(float(p99)) if len(samples) >= least_samples(0.99) else None,
        mean=round(float(samples.mean())),
        count=len(samples),
    )


def least_samples(quantile: float) -> int:
    """How many samples carry a quantile above the median: with fewer, even the largest of them is more likely than 1 in
    40 to be below it, so that no two-sided 95 % interval exists. 36 for p90, 368 for p99.
    """
    return math.ceil(math.log(0.025) / math.log(quantile))
