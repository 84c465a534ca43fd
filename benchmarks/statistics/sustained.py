"""The course of a latency under continuous load: its curve, when it throttles, and where it settles.

The time of a sample is the sum of those before it: nothing else happens between two of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgedeploy.core.device import DeviceState, hottest_c
from edgedeploy.core.results.sustained import FIRST_THIRD, CurvePoint, Level, PeriodChange, Sustained, part_of

from .launches import Samples

WINDOWS = 60
MINUTE_S = 60.0
THROTTLED = 1.1  # times the first level
STAYS = 3  # windows in a row
STEADY_CHANGE = 0.03
LATEST_STEADY = 0.75  # of the run: less is too little to call a state
RESAMPLES = 1_000


def describe_sustained(samples_ns: Sequence[int], states: Sequence[DeviceState] = ()) -> Sustained:
    """The course of the samples of one launch; `states` are those that were read meanwhile."""
    samples = np.asarray(samples_ns, dtype=np.float64)
    ends_s = np.cumsum(samples) / 1e9
    windows = _windows(samples, ends_s)
    medians = np.array([float(np.median(window)) for window in windows])
    first, last = _periods(samples, ends_s)
    bounds_s = np.cumsum([window.sum() for window in windows]) / 1e9
    level_ns = _level(first)
    slow = medians > THROTTLED * level_ns.p50_ns
    throttled = next((i for i in range(len(slow) - STAYS + 1) if slow[i : i + STAYS].all()), None)
    steady = _steady_window(np.log(medians))
    starts_s = np.concatenate([[0.0], bounds_s[:-1]])
    return Sustained(
        curve=tuple(
            CurvePoint(float(at_s), *_quantiles(window), _temperature(states, float(at_s)))
            for at_s, window in zip(bounds_s, windows, strict=True)
        ),
        first=level_ns,
        last=_level(last),
        throttled_after_s=None if throttled is None else float(starts_s[throttled]),
        steady=None if steady is None else _level(np.concatenate(windows[steady:])),
        steady_from_s=None if steady is None else float(starts_s[steady]),
    )


def compare_periods(base_ns: Sequence[int], head_ns: Sequence[int]) -> tuple[PeriodChange, PeriodChange]:
    """How the first minutes of two sustained runs differ, and how the last ones do."""
    old, new = ([np.asarray(part) for part in _periods_of(samples)] for samples in (base_ns, head_ns))
    part = part_of(min(sum(samples) for samples in (base_ns, head_ns)) / 1e9)
    names = "minute 1" if part == "minute" else FIRST_THIRD, "the end"
    first, last = (_period_change(name, before, after) for name, before, after in zip(names, old, new, strict=True))
    return first, last


def _periods_of(samples_ns: Sequence[int]) -> tuple[Samples, Samples]:
    samples = np.asarray(samples_ns, dtype=np.float64)
    return _periods(samples, np.cumsum(samples) / 1e9)


def _periods(samples: Samples, ends_s: Samples) -> tuple[Samples, Samples]:
    """The samples of the first and of the last minute, or third."""
    length_s = min(MINUTE_S, float(ends_s[-1]) / 3)
    first, last = samples[ends_s <= length_s], samples[ends_s > ends_s[-1] - length_s]
    return (first if len(first) else samples[:1]), last


def _period_change(name: str, base: Samples, head: Samples) -> PeriodChange:
    """The interval is by the bootstrap of tenths of the period: neighbouring samples are alike."""
    rng = np.random.default_rng(0)
    drawn = []
    for samples in (base, head):
        blocks = np.log([float(np.median(block)) for block in np.array_split(samples, min(10, len(samples)))])
        drawn.append(blocks[rng.integers(len(blocks), size=(RESAMPLES, len(blocks)))].mean(axis=1))
    low, high = np.quantile(drawn[1] - drawn[0], [0.025, 0.975])
    before, after = float(np.median(base)), float(np.median(head))
    return PeriodChange(
        name, round(before), round(after), after / before - 1, float(np.expm1(low)), float(np.expm1(high))
    )


def _windows(samples: Samples, ends_s: Samples) -> list[Samples]:
    """Windows of equal time; a sample that is longer than a window has one of its own."""
    numbers = np.minimum((ends_s * WINDOWS / ends_s[-1]).astype(int), WINDOWS - 1)
    return [samples[numbers == number] for number in np.unique(numbers)]


def _steady_window(levels: Samples) -> int | None:
    """The first window from which on the latency stays: the fifths of the rest have nearly one median."""
    for start in range(int(len(levels) * LATEST_STEADY)):
        fifths = [float(np.median(part)) for part in np.array_split(levels[start:], min(5, len(levels) - start))]
        if max(fifths) - min(fifths) <= STEADY_CHANGE:
            return start
    return None


def _level(samples: Samples) -> Level:
    return Level(*_quantiles(samples))


def _quantiles(samples: Samples) -> tuple[int, int]:
    p50, p90 = np.quantile(samples, [0.5, 0.9])
    return round(float(p50)), round(float(p90))


def _temperature(states: Sequence[DeviceState], at_s: float) -> float | None:
    """The processor's temperature at a time, from the nearest reading."""
    if not states:
        return None
    begin_s = states[0].host_time_s
    return hottest_c(min(states, key=lambda state: abs(state.host_time_s - begin_s - at_s)))
