"""Which samples should not be believed as they are: taken while the device throttled, or below its clock.

A run's samples are collected until enough of them are clean; what is not clean is repeated, at most REPEATS times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from edgedeploy.android_harness.protocol import RunnerAnswer, RunRequest
from edgedeploy.benchmarks.devices.base import Core, DeviceState
from edgedeploy.core.parity import Array

from .session import slowed_samples, throttled_samples

REPEATS = 2


@dataclass(frozen=True)
class Attempt:
    """One start of the runner.

    Attributes:
        began_s: this machine's clock when the runner's first line came: its two clocks are read just before.
        readings: of the device's state, before, during and after.
    """

    answer: RunnerAnswer
    outputs: list[list[Array]]
    began_s: float
    readings: Sequence[DeviceState]

    def throttled(self) -> list[bool] | None:
        """For each sample; None where the device tells no thermal status.

        A sample's moment on this machine's clock is that of the first line and the device's own monotonic distance from
        it: the devices' wall clocks are not trusted.
        """
        runs, zero = self.answer.runs, self.answer.started_monotonic_ns
        times = [self.began_s + (start + ns - zero) / 1e9 for start, ns in zip(runs.start_ns, runs.ns, strict=True)]
        return throttled_samples(times, self.readings)

    def slowed(self, cores: Sequence[Core]) -> list[bool | None]:
        """For each sample; None for one of which clock or core is not known."""
        runs = self.answer.runs
        return slowed_samples(list(zip(runs.khz_before, runs.khz_after, strict=True)), runs.cpu_before, cores)


@dataclass(frozen=True)
class Collected:
    """The samples of a row, out of one attempt or several.

    Attributes:
        first: the attempt that load, first inference and memory are told from.
        throttled, slowed: indices into `samples_ns`; None where the device does not tell.
        discarded_ns: throttled samples that others stand for.
    """

    first: Attempt
    samples_ns: list[int]
    discarded_ns: list[int]
    throttled: list[int] | None
    slowed: list[int] | None
    readings: tuple[DeviceState, ...]

    def notes(self) -> list[str]:
        """What a reader must know of these samples."""
        said, count = [], len(self.samples_ns)
        if self.discarded_ns:
            said.append(
                f"{len(self.discarded_ns)} samples were taken while the device throttled; others stand for them"
            )
        if self.throttled:
            said.append(f"the device throttled: {len(self.throttled)} of {count} samples were taken then")
        if self.slowed:
            said.append(f"{len(self.slowed)} of {count} samples ran below nine tenths of the core's highest clock")
        return said


def collect(once: Callable[[RunRequest], Attempt], request: RunRequest, cores: Sequence[Core]) -> Collected:
    """Runs until `request.num_runs` samples are clean, or REPEATS more runs did not bring them.

    Where the device throttles to the end, all samples are kept and the throttled ones marked.
    """
    wanted = request.num_runs
    attempts: list[Attempt] = []
    rows: list[tuple[int, bool | None, bool | None]] = []  # ns, throttled, slowed
    while True:
        attempt = once(request)
        attempts.append(attempt)
        count = len(attempt.answer.runs)
        throttled: Sequence[bool | None] = attempt.throttled() or [None] * count
        rows += zip(attempt.answer.runs.ns, throttled, attempt.slowed(cores), strict=True)
        missing = wanted - sum(not row[1] for row in rows)
        hot = sum(bool(row[1]) for row in rows)
        if not hot or missing <= 0 or len(attempts) > REPEATS:
            break
        request = replace(request, num_runs=missing, min_secs=0.0)
    discarded = [row[0] for row in rows if row[1]] if missing <= 0 else []
    kept = [row for row in rows if not (row[1] and discarded)]
    told = any(row[1] is not None for row in rows)
    clocked = any(row[2] is not None for row in rows)
    return Collected(
        first=attempts[0],
        samples_ns=[row[0] for row in kept],
        discarded_ns=discarded,
        throttled=[index for index, row in enumerate(kept) if row[1]] if told else None,
        slowed=[index for index, row in enumerate(kept) if row[2]] if clocked else None,
        readings=tuple(reading for attempt in attempts for reading in attempt.readings),
    )
