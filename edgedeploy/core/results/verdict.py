"""What the samples of a measurement say about the measurement itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A 95 % interval in ns."""

    low: int
    high: int


@dataclass(frozen=True)
class LatencyStatistics:
    """How sure a measurement's figures are; benchmarks/statistics computes it.

    Attributes:
        warmup_samples: for each launch, how many of its first samples came before its steady state; the summary leaves
            them out.
        median_interval_ns, p90_interval_ns, p99_interval_ns: None where the samples are too few to carry one.
        launch_spread: largest over smallest median of a launch, minus 1; None with one launch.
        drift: relative change from the first to the last samples, within launches or from launch to launch, whichever
            is larger; None with too few samples.
        mode_gap: distance of two modes over the faster one; 0 where there is one mode.
        outlier_share: share of samples above 1.5 times the median.
        smallest_change: the smallest relative change of the median that a comparison with an equal measurement would
            find 95 times in 100, at the default false-alarm rate.
    """

    warmup_samples: tuple[int, ...]
    median_interval_ns: Interval | None
    p90_interval_ns: Interval | None
    p99_interval_ns: Interval | None
    launch_spread: float | None
    drift: float | None
    mode_gap: float
    outlier_share: float
    smallest_change: float


@dataclass(frozen=True)
class Doubt:
    """One reason not to trust a measurement.

    Attributes:
        kind: "few samples", "one launch", "no steady state", "drift", "launches differ", "two modes", "another load",
            "throttled", "clock frequency" or "emulated".
        reason: what was seen, with its figure.
        advice: what to do about it.
        size: the largest relative change of the median that this could cause; None where that cannot be said.
    """

    kind: str
    reason: str
    advice: str
    size: float | None = None


@dataclass(frozen=True)
class Trust:
    """Whether a measurement is trustworthy: whether nothing speaks against it."""

    trustworthy: bool
    doubts: tuple[Doubt, ...] = ()

    def __str__(self) -> str:
        if self.trustworthy:
            return "trustworthy"
        return f"not trustworthy: {'; '.join(doubt.reason for doubt in self.doubts)}"
