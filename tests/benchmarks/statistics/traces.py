"""Latency traces with the noise of phones, seeded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgedeploy.benchmarks.statistics import assess
from edgedeploy.core.measurement import Measurement
from tests.cli.rows import measurement

MEDIAN_NS = 10e6


def quiet(rng: np.random.Generator, count: int = 50, sd: float = 0.01) -> NDArray[np.float64]:
    """A launch without drift: a lower bound and a short tail."""
    return MEDIAN_NS * (1 + np.abs(rng.normal(0, sd, count)))


def row(*launches: NDArray[np.float64], **changes: object) -> Measurement:
    """The measurement of these launches, assessed."""
    samples = tuple(round(float(ns)) for launch in launches for ns in launch)
    numbers = tuple(number for number, launch in enumerate(launches) for _ in launch)
    return assess(measurement(**{"samples_ns": samples, "sample_launches": numbers, **changes}))


def kinds(measured: Measurement) -> set[str]:
    """The kinds of doubts in a row's verdict."""
    assert measured.verdict is not None
    assert measured.verdict.trustworthy == (not measured.verdict.doubts)
    return {doubt.kind for doubt in measured.verdict.doubts}
