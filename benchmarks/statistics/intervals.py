"""Intervals of a row's quantiles by the block bootstrap.

A resample draws launches with replacement, and within each drawn launch blocks of consecutive samples (the moving block
bootstrap, H. R. Künsch, Annals of Statistics 17, 1989), because neighbouring samples are alike. With few launches such an
interval is too narrow for a comparison, where comparison.py adds the noise model; it describes this row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgedeploy.core.results.verdict import Interval

from .launches import Launch, Samples, steady_samples
from .summary import least_samples

RESAMPLES = 400
MAX_SAMPLES = 2_000  # of a launch; of a longer one every n-th sample is taken


def quantile_intervals(launches: Sequence[Launch], quantiles: Sequence[float]) -> list[Interval | None]:
    """A 95 % interval for each quantile; None for one that the samples do not carry. The seed is fixed."""
    count = len(steady_samples(launches))
    carried = [count >= max(least_samples(max(quantile, 0.5)), 6) for quantile in quantiles]
    if not any(carried):
        return [None] * len(quantiles)
    rng = np.random.default_rng(0)
    drawn = np.array([np.quantile(_resample(launches, rng), quantiles) for _ in range(RESAMPLES)])
    bounds = np.quantile(drawn, [0.025, 0.975], axis=0)
    return [
        Interval(round(float(low)), round(float(high))) if is_carried else None
        for low, high, is_carried in zip(*bounds, carried, strict=True)
    ]


def _resample(launches: Sequence[Launch], rng: np.random.Generator) -> Samples:
    chosen = [launches[index].steady for index in rng.integers(len(launches), size=len(launches))]
    return np.concatenate([_resample_blocks(samples[:: 1 + len(samples) // MAX_SAMPLES], rng) for samples in chosen])


def _resample_blocks(samples: Samples, rng: np.random.Generator) -> Samples:
    """As many samples in blocks whose length is the cube root of their number, and at least 5."""
    length = min(len(samples), max(5, round(len(samples) ** (1 / 3))))
    starts = rng.integers(len(samples) - length + 1, size=-(-len(samples) // length))
    positions = (starts[:, None] + np.arange(length)).ravel()[: len(samples)]
    return np.asarray(samples[positions])
