"""What the index has of a measurement.

It is computed when the measurement is added, and kept in its line: finding the steady state of each launch takes a hundred
times as long as reading the line does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgedeploy.benchmarks.statistics.launches import levels
from edgedeploy.benchmarks.statistics.trust import launches_of
from edgedeploy.core.measurement import Measurement

FIGURES_VERSION = 2  # goes up with every change of what these are: lines of other versions are computed anew


@dataclass(frozen=True)
class Figures:
    """The figures of one measurement.

    Attributes:
        version: FIGURES_VERSION.
        device: its readable name.
        counted: instructions were measured, not time.
        level: the natural logarithm of the median in ns, the mean over the launches, or of the number of instructions; None
            without either.
        launch_levels, launch_p90_levels: the same of each launch, and of its 90th percentile.
    """

    version: int
    started_at: str
    device: str
    model: str
    target: str
    threads: int
    counted: bool
    level: float | None
    launch_levels: tuple[float, ...]
    launch_p90_levels: tuple[float, ...]
    median_ns: int | None
    p90_ns: int | None
    instructions: int | None
    size_bytes: int
    load_ns: int | None
    peak_rss_bytes: int | None
    sqnr_db: float | None
    trustworthy: bool | None
    artifact_sha256: str
    runtime_version: str


def figures_of(row: Measurement) -> Figures:
    """The figures of a measurement, as the history keeps it."""
    launches = launches_of(row) if row.samples_ns else []
    medians, p90s = (levels(launches, quantile) if launches else np.empty(0) for quantile in (0.5, 0.9))
    level = float(medians.mean()) if len(medians) else None
    times = row.latency_ns
    return Figures(
        version=FIGURES_VERSION,
        started_at=row.started_at,
        device=row.device.display_name,
        model=row.model,
        target=row.target,
        threads=row.threads,
        counted=row.instructions is not None,
        level=float(np.log(row.instructions.total)) if row.instructions else level,
        launch_levels=tuple(medians.tolist()),
        launch_p90_levels=tuple(p90s.tolist()),
        median_ns=times.median if times else None,
        p90_ns=times.p90 if times else None,
        instructions=row.instructions.total if row.instructions else None,
        size_bytes=row.size_bytes,
        load_ns=row.load_ns,
        peak_rss_bytes=row.peak_rss_bytes,
        sqnr_db=row.parity.sqnr_db if row.parity else None,
        trustworthy=row.verdict.trustworthy if row.verdict else None,
        artifact_sha256=row.artifact_sha256,
        runtime_version=row.runtime_version,
    )
