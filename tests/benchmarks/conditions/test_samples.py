"""Samples under throttling are repeated; where that does not help they are kept and marked."""

from __future__ import annotations

from edgedeploy.android_harness.protocol import RunnerAnswer, RunRequest, Samples
from edgedeploy.benchmarks.conditions.samples import (
    REPEATS,
    Attempt,
    collect,
    slowed_samples,
    throttled_samples,
)
from edgedeploy.benchmarks.devices.transports.scripted import PIXEL_7_CLOCKS_KHZ
from edgedeploy.core.device import Core, DeviceState

CORES = (Core(0, 2_000_000),)
PIXEL_CORES = tuple(Core(number, clock) for number, clock in enumerate(PIXEL_7_CLOCKS_KHZ))
ONE = Samples(start_ns=(0,), ns=(1,), cpu_before=(0,), cpu_after=(0,), khz_before=(None,), khz_after=(None,))


def attempt(statuses: list[int | None], count: int, ns: int, khz: int = 2_000_000) -> Attempt:
    """`count` samples, one a second from second 100 on; a reading of the thermal status before and after each."""
    clocks = (khz,) * count
    starts = tuple(int(1e9) * (1 + n) for n in range(count))
    runs = Samples(starts, (ns,) * count, (0,) * count, (0,) * count, clocks, clocks)
    answer = RunnerAnswer(
        "null", "", "arm64", 1, 0, 0, 5, (), (), ONE, Samples(), runs, None, None
    )  # fmt: skip
    readings = [DeviceState(100.5 + n, thermal_status=status) for n, status in enumerate(statuses)]
    return Attempt(answer, [], 100.0, readings)


def test_throttled_samples_are_repeated_and_only_they() -> None:
    asked: list[RunRequest] = []
    # the phone heats up after the second of four samples
    script = [attempt([0, 0, 0, 2, 2], 4, ns=1), attempt([0, 0, 0], 2, ns=2)]

    def once(request: RunRequest) -> Attempt:
        asked.append(request)
        return script[len(asked) - 1]

    done = collect(once, RunRequest(num_runs=4, min_secs=9), CORES)
    assert [(request.num_runs, request.min_secs) for request in asked] == [(4, 9), (2, 0)]
    assert done.samples_ns == (1, 1, 2, 2)
    assert done.sample_launches == (0, 0, 1, 1)
    assert done.discarded_ns == (1, 1)
    assert (done.throttled_samples, done.slowed_samples) == ((), ())
    assert done.notes() == ["2 samples were taken while the device throttled, and were repeated"]


def test_a_phone_that_throttles_to_the_end_keeps_all_samples_marked() -> None:
    done = collect(lambda request: attempt([3, 3, 3], 2, ns=7), RunRequest(num_runs=2), CORES)
    assert done.samples_ns == (7,) * 2 * (1 + REPEATS)
    assert done.sample_launches == (0, 0, 1, 1, 2, 2)
    assert done.throttled_samples == tuple(range(2 * (1 + REPEATS)))
    assert done.discarded_ns == ()
    assert "6 of 6 samples were taken while the device throttled" in done.notes()[0]


def test_what_a_device_does_not_report_is_none_and_not_empty() -> None:
    done = collect(lambda request: attempt([None, None], 2, ns=7), RunRequest(num_runs=2), ())
    assert (done.throttled_samples, done.slowed_samples) == (None, None)
    assert done.notes() == []


def test_samples_below_the_highest_frequency_are_marked_and_kept() -> None:
    done = collect(lambda request: attempt([0, 0, 0], 2, ns=7, khz=1_000_000), RunRequest(num_runs=2), CORES)
    assert done.slowed_samples == (0, 1)
    assert len(done.samples_ns) == 2
    assert "2 of 2 samples ran below 90 %" in done.notes()[0]


def state_at(time_s: float, status: int | None) -> DeviceState:
    return DeviceState(time_s, thermal_status=status)


def test_samples_beside_a_throttled_reading_are_marked() -> None:
    readings = [state_at(0, 0), state_at(10, 0), state_at(20, 2), state_at(30, 0), state_at(40, 0)]
    assert throttled_samples([5, 15, 25, 35, 45], readings) == [False, True, True, False, False]


def test_without_a_thermal_status_no_sample_is_marked_as_cool() -> None:
    assert throttled_samples([1, 2], [state_at(0, None), state_at(5, None)]) is None


def test_samples_on_a_core_below_its_highest_frequency_are_marked() -> None:
    frequencies = [(2850000, 2850000), (2850000, 2000000), (None, None), (1803000, 1803000), (2850000, None)]
    assert slowed_samples(frequencies, [7, 7, 7, 0, None], PIXEL_CORES) == [False, True, None, False, None]
