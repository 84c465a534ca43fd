"""Latency traces with the noise that phones have, seeded.

A sample is  base × session × launch × course × (1 + noise) , in which sessions and launches differ, the course is a thermal
ramp, neighbouring samples are alike, some samples are outliers, and some rows have two modes, between launches or within.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgedeploy.benchmarks.comparison.paired import Blocks, random_order
from edgedeploy.core.device import DeviceInfo
from edgedeploy.core.measurement import Measurement

BASE_NS = 10e6
DEVICE = DeviceInfo("adb", "adb:simulated", model="simulated phone", abis=("arm64-v8a",))


@dataclass(frozen=True)
class Noise:
    """How a phone's latencies spread; all relative.

    Attributes:
        session, launch: standard deviations between measurements, and between launches of one.
        sample, correlation: standard deviation of samples, and the correlation of neighbours.
        outliers: share of samples that take 1.1 to several times as long.
        ramp: largest thermal drift over a measurement; each has a random part of it.
        launch_modes: share of rows whose launches have two modes, 3 % apart.
        sample_modes: share of rows whose samples have two modes, 8 % apart.
    """

    session: float
    launch: float
    sample: float
    correlation: float
    outliers: float
    ramp: tuple[float, float] = (0.0, 0.0)
    launch_modes: float = 0.0
    sample_modes: float = 0.0


QUIET = Noise(session=0.002, launch=0.003, sample=0.008, correlation=0.3, outliers=0.01)
PHONE = Noise(
    session=0.004, launch=0.008, sample=0.015, correlation=0.6, outliers=0.03, ramp=(0.0, 0.04), launch_modes=0.2,
    sample_modes=0.1,
)  # fmt: skip
DRIFTING = Noise(session=0.004, launch=0.006, sample=0.012, correlation=0.5, outliers=0.02, ramp=(0.04, 0.15))


def measure(
    rng: np.random.Generator, noise: Noise, factor: float = 1.0, launches: int = 3, runs: int = 50
) -> Measurement:
    """A measurement of an artifact that takes `factor` times 10 ms, as `bench` would have recorded it."""
    session = _Session(rng, noise, launches * runs)
    samples = [ns for number in range(launches) for ns in session.launch(factor, number * runs, runs)]
    numbers = [number for number in range(launches) for _ in range(runs)]
    return _row(samples, numbers)


def measure_mlperf(rng: np.random.Generator, noise: Noise, factor: float = 1.0) -> Measurement:
    """The same by the protocol "mlperf": one launch of 1,024 inferences, each of 60 ms so that they take a minute."""
    row = measure(rng, noise, factor, launches=1, runs=1024)
    return replace(row, protocol="mlperf", samples_ns=tuple(6 * ns for ns in row.samples_ns))


def measure_blocks(
    rng: np.random.Generator, noise: Noise, factor: float = 1.0, blocks: int = 12, runs: int = 20
) -> Blocks:
    """Two artifacts in turns, as `bench --interleave` would have measured them; head takes `factor` times as long."""
    session = _Session(rng, noise, (3 * blocks + 1) * runs)
    starts = iter(range(0, (3 * blocks + 1) * runs, runs))
    order = random_order(blocks, int(rng.integers(2**31)))
    sides: tuple[list[list[int]], list[list[int]]] = ([], [])
    canary = [session.launch(0.3, next(starts), runs)]
    for head_first in order:
        for side in (1, 0) if head_first else (0, 1):
            sides[side].append(session.launch(factor if side else 1.0, next(starts), runs))
        canary.append(session.launch(0.3, next(starts), runs))
    row = _row([], [])
    return Blocks(row, row, *sides, canary, 0, order)


class _Session:
    """One measurement: its own level, thermal ramp, and modes."""

    def __init__(self, rng: np.random.Generator, noise: Noise, count: int) -> None:
        self._rng, self._noise = rng, noise
        self._level = BASE_NS * (1 + rng.normal(0, noise.session))
        self._launch_modes, self._modes = rng.random() < noise.launch_modes, rng.random() < noise.sample_modes
        self._ramp = 1 + rng.uniform(*noise.ramp) * np.linspace(0, 1, count) ** rng.choice([0.5, 1.0])

    def launch(self, factor: float, start: int, runs: int) -> list[int]:
        """The samples of a launch, of which the first is number `start` of the session."""
        rng, noise = self._rng, self._noise
        level = self._level * factor * (1 + rng.normal(0, noise.launch))
        level *= 1.03 if self._launch_modes and rng.random() < 0.3 else 1.0
        course = self._ramp[start : start + runs] * (1 + _correlated(rng, noise, runs))
        course[rng.random(runs) < noise.outliers] *= 1.1 + rng.exponential(0.4)
        if self._modes:
            course[rng.random(runs) < 0.25] *= 1.08
        course[:3] *= 1.15  # the rest of the warm-up
        return [round(float(ns)) for ns in level * course]


def _row(samples: Sequence[int], launches: Sequence[int]) -> Measurement:
    return Measurement(
        model="net",
        target="tflite-int8",
        runtime="litert",
        runtime_version="2.3.0",
        artifact="",
        artifact_sha256="",
        size_bytes=2**20,
        device=DEVICE,
        threads=1,
        latency_ns=None,
        samples_ns=tuple(samples),
        sample_launches=tuple(launches),
        load_ns=None,
        first_inference_ns=None,
        peak_rss_bytes=None,
    )


def _correlated(rng: np.random.Generator, noise: Noise, count: int) -> NDArray[np.float64]:
    """Skewed noise whose neighbours are correlated."""
    shocks = np.abs(rng.normal(0, noise.sample * np.sqrt(1 - noise.correlation**2), count))
    values = np.empty(count)
    last = 0.0
    for index, shock in enumerate(shocks):
        last = noise.correlation * last + shock
        values[index] = last
    return values
