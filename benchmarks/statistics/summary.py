"""The summary of latency samples.

Latency samples have a lower bound (the work itself) and a long tail (everything else that the machine does), so order
statistics are used and never a standard deviation. Quantiles are Hyndman & Fan's type 7 (numpy's default).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgedeploy.core.measurement import Latency


def summarise(samples_ns: Sequence[int]) -> Latency:
    """Minimum, median, 90th and 99th percentile and mean, in ns. Raises ValueError without samples."""
    if not samples_ns:
        raise ValueError("no samples to summarise")
    samples = np.asarray(samples_ns, dtype=np.float64)
    p50, p90, p99 = np.quantile(samples, [0.5, 0.9, 0.99])
    return Latency(
        min=round(float(samples.min())),
        median=round(float(p50)),
        p90=round(float(p90)),
        p99=round(float(p99)),
        mean=round(float(samples.mean())),
        count=len(samples),
    )
