"""A row that was measured for minutes without a pause: how it held up."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_THIRD = "the first third"


def part_of(seconds: float) -> str:
    """What part of a run of so many seconds its beginning and its end are."""
    return "minute" if seconds >= 0.95 * 180 else "third"  # what the runner does between samples is in none of them


@dataclass(frozen=True)
class Level:
    """The latency over a time, in ns."""

    p50_ns: int
    p90_ns: int


@dataclass(frozen=True)
class CurvePoint:
    """One window of the curve.

    Attributes:
        at_s: when it ended, in seconds of inference from the first sample.
        temperature_c: of the processor then; None where the device reports none.
    """

    at_s: float
    p50_ns: int
    p90_ns: int
    temperature_c: float | None = None


@dataclass(frozen=True)
class Sustained:
    """The course of a row under continuous load.

    Attributes:
        curve: windows of equal length, one sixtieth of the whole.
        first: of the first minute, or the first third of a shorter run; `last`: of the last one.
        throttled_after_s: when the median of a window first rose by more than a tenth over the first level, and stayed
            there for two more windows; None where it never did.
        steady: of what follows `steady_from_s`, since when its parts have one level; None where the latency still changes.
    """

    curve: tuple[CurvePoint, ...]
    first: Level
    last: Level
    throttled_after_s: float | None
    steady: Level | None
    steady_from_s: float | None

    @property
    def part(self) -> str:
        """What the first and the last part are: "minute", or "third" of a run of less than three."""
        return part_of(self.curve[-1].at_s)


@dataclass(frozen=True)
class PeriodChange:
    """How the median of one part of two sustained runs differs.

    Attributes:
        period: "minute 1", or "the first third" of a run of less than three minutes; or "the end".
        change: relative, of head to base; low, high: its 95 % interval within these two runs.
    """

    period: str
    base_ns: int
    head_ns: int
    change: float
    low: float
    high: float

    def __str__(self) -> str:
        where = "in" if self.period == FIRST_THIRD else "at"
        return (
            f"{where} {self.period}: p50 {self.base_ns / 1e6:.2f} -> {self.head_ns / 1e6:.2f} ms, {self.change:+.1%} "
            f"({self.low:+.1%} to {self.high:+.1%} within these two runs)"
        )
