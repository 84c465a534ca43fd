"""The course under continuous load: when it throttles, where it settles, and how two runs compare at both ends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgedeploy.benchmarks.statistics.sustained import compare_periods, describe_sustained
from edgedeploy.core.device import DeviceState


def course(factor_at: Callable[[float], float], minutes: float = 5.0, seed: int = 0) -> list[int]:
    """Inferences of 50 ms, each times what `factor_at` gives for its second."""
    rng = np.random.default_rng(seed)
    samples: list[int] = []
    at_s = 0.0
    while at_s < 60 * minutes:
        samples.append(round(50e6 * factor_at(at_s) * (1 + abs(rng.normal(0, 0.01)))))
        at_s += samples[-1] / 1e9
    return samples


def test_a_phone_that_throttles_after_two_minutes() -> None:
    found = describe_sustained(course(lambda at_s: 1.0 if at_s < 120 else 1.5))
    assert found.throttled_after_s == pytest.approx(120, abs=6)
    assert found.steady_from_s == pytest.approx(120, abs=30)
    assert found.steady is not None
    assert found.steady.p50_ns == pytest.approx(75e6, rel=0.02)
    assert (found.first.p50_ns, found.last.p50_ns) == (pytest.approx(50e6, rel=0.02), pytest.approx(75e6, rel=0.02))
    assert len(found.curve) == 60


def test_one_that_never_throttles_is_steady_from_the_beginning() -> None:
    found = describe_sustained(course(lambda at_s: 1.0))
    assert (found.throttled_after_s, found.steady_from_s) == (None, 0.0)


def test_one_that_still_becomes_slower_has_no_steady_state() -> None:
    found = describe_sustained(course(lambda at_s: 1 + at_s / 300))
    assert found.steady is None
    assert found.throttled_after_s is not None


def test_a_short_disturbance_is_no_throttling() -> None:
    assert describe_sustained(course(lambda at_s: 2.0 if 100 < at_s < 104 else 1.0)).throttled_after_s is None


def test_the_curve_has_the_temperature_that_was_read_next_to_it() -> None:
    states = [DeviceState(1000.0 + at_s, temperatures_c={"cpu": 30 + at_s / 10}) for at_s in range(0, 301, 5)]
    curve = describe_sustained(course(lambda at_s: 1.0), states).curve
    assert curve[-1].temperature_c == pytest.approx(60, abs=0.6)


def test_two_runs_are_compared_at_both_ends() -> None:
    hot = course(lambda at_s: 0.9 if at_s < 100 else 1.2, seed=1)
    first, last = compare_periods(course(lambda at_s: 1.0), hot)
    assert (first.period, last.period) == ("minute 1", "the end")
    assert first.low < -0.1 < first.high < 0 < last.low < 0.2 < last.high


def test_a_run_of_one_inference_has_a_course() -> None:
    found = describe_sustained([5_000_000])
    assert found.first == found.last
