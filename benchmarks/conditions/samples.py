"""Samples that are not to be trusted: taken while the device throttled, or on a core below its highest clock frequency.

The runner is launched as often as asked for, and again until enough samples are free of throttling, at most REPEATS times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from edgedeploy.android_harness.protocol import RunnerAnswer, RunRequest
from edgedeploy.core.device import Core, DeviceState
from edgedeploy.core.measurement import LaunchFigures
from edgedeploy.core.parity import Array

REPEATS = 2

# A core above this share of its highest frequency counts as running at it: governors change it in steps of some 5 %.
FULL_CLOCK = 0.9


@dataclass(frozen=True)
class Attempt:
    """One launch of the runner.

    Attributes:
        began_s: this machine's clock when the runner's first line came: its two clocks are read just before.
        readings: of the device's state, before, during and after.
    """

    answer: RunnerAnswer
    outputs: list[list[Array]]
    began_s: float
    readings: Sequence[DeviceState]

    def throttled(self) -> list[bool] | None:
        """For each sample; None where the device reports no thermal status.

        A sample's time on this machine's clock is that of the first line plus the distance from it on the device's
        monotonic clock: the devices' wall clocks are not trusted.
        """
        runs, zero = self.answer.runs, self.answer.started_monotonic_ns
        times = [self.began_s + (start + ns - zero) / 1e9 for start, ns in zip(runs.start_ns, runs.ns, strict=True)]
        return throttled_samples(times, self.readings)

    def slowed(self, cores: Sequence[Core]) -> list[bool | None]:
        """For each sample; None for one whose core or frequency is not known."""
        runs = self.answer.runs
        return slowed_samples(list(zip(runs.khz_before, runs.khz_after, strict=True)), runs.cpu_before, cores)


@dataclass(frozen=True)
class Collected:
    """The samples of a row, from one launch of the runner or several.

    Attributes:
        first: the attempt whose outputs are reported.
        launches: what each reported beside its samples.
        sample_launches: for each of `samples_ns`, the launch that it comes from, from 0.
        throttled_samples, slowed_samples: indices into `samples_ns`; None where the device does not report it.
        discarded_ns: throttled samples that were repeated.
    """

    first: Attempt
    launches: tuple[LaunchFigures, ...]
    samples_ns: tuple[int, ...]
    sample_launches: tuple[int, ...]
    discarded_ns: tuple[int, ...]
    throttled_samples: tuple[int, ...] | None
    slowed_samples: tuple[int, ...] | None
    readings: tuple[DeviceState, ...]

    def notes(self) -> list[str]:
        """What a reader must know of these samples."""
        notes, count = [], len(self.samples_ns)
        if self.discarded_ns:
            notes.append(f"{len(self.discarded_ns)} samples were taken while the device throttled, and were repeated")
        if self.throttled_samples:
            notes.append(f"{len(self.throttled_samples)} of {count} samples were taken while the device throttled")
        if self.slowed_samples:
            notes.append(
                f"{len(self.slowed_samples)} of {count} samples ran below 90 % of the core's highest frequency"
            )
        return notes


@dataclass(frozen=True)
class _Sample:
    ns: int
    launch: int
    throttled: bool | None
    slowed: bool | None


def collect(
    launch: Callable[[RunRequest], Attempt],
    request: RunRequest,
    cores: Sequence[Core],
    launches: int = 1,
    repeats: int = REPEATS,
) -> Collected:
    """Launches the runner `launches` times, each for `request.num_runs` samples.

    Where samples were taken under throttling, further launches ask for the missing number only, at most `repeats` in all.
    Where the device throttles to the end, all samples are kept and the throttled ones marked.
    """
    attempts: list[Attempt] = []
    samples: list[_Sample] = []
    missing = 0
    for _ in range(launches):
        wanted, asked = request.num_runs, request
        while True:
            attempt = launch(asked)
            new = _samples_of(attempt, len(attempts), cores)
            attempts.append(attempt)
            samples += new
            wanted -= sum(not sample.throttled for sample in new)
            if wanted <= 0 or not any(sample.throttled for sample in new) or not repeats:
                break
            repeats -= 1
            asked = replace(request, num_runs=wanted, min_secs=0.0)
        missing = max(missing, wanted)
    discarded = [sample.ns for sample in samples if sample.throttled] if missing <= 0 else []
    kept = [sample for sample in samples if not (sample.throttled and discarded)]
    status_known = any(sample.throttled is not None for sample in samples)
    frequency_known = any(sample.slowed is not None for sample in samples)
    answers = [attempt.answer for attempt in attempts]
    return Collected(
        first=attempts[0],
        launches=tuple(
            LaunchFigures(answer.load_ns, answer.first_inference_ns, answer.peak_rss_bytes) for answer in answers
        ),
        samples_ns=tuple(sample.ns for sample in kept),
        sample_launches=tuple(sample.launch for sample in kept),
        discarded_ns=tuple(discarded),
        throttled_samples=_indices([sample.throttled for sample in kept]) if status_known else None,
        slowed_samples=_indices([sample.slowed for sample in kept]) if frequency_known else None,
        readings=tuple(reading for attempt in attempts for reading in attempt.readings),
    )


def _samples_of(attempt: Attempt, launch: int, cores: Sequence[Core]) -> list[_Sample]:
    times_ns = attempt.answer.runs.ns
    throttled: Sequence[bool | None] = attempt.throttled() or [None] * len(times_ns)
    return [
        _Sample(ns, launch, is_throttled, is_slowed)
        for ns, is_throttled, is_slowed in zip(times_ns, throttled, attempt.slowed(cores), strict=True)
    ]


def _indices(marks: Sequence[bool | None]) -> tuple[int, ...]:
    return tuple(index for index, mark in enumerate(marks) if mark)


def throttled_samples(sample_times_s: Sequence[float], readings: Sequence[DeviceState]) -> list[bool] | None:
    """Marks the samples between two readings of which at least one has a thermal status above none.

    The status may have changed anywhere between two readings, so samples on both sides are marked. None where the device
    reports no thermal status at all.
    """
    known = [reading for reading in readings if reading.thermal_status is not None]
    if not known:
        return None
    marks = []
    for time_s in sample_times_s:
        before = [reading for reading in known if reading.host_time_s <= time_s][-1:]
        after = [reading for reading in known if reading.host_time_s > time_s][:1]
        marks.append(any(reading.thermal_status for reading in (*before, *after)))
    return marks


def slowed_samples(
    frequencies_khz: Sequence[tuple[int | None, int | None]], cpus: Sequence[int | None], cores: Sequence[Core]
) -> list[bool | None]:
    """Marks the samples whose core ran below FULL_CLOCK of its highest frequency before or after the inference.

    Args:
        frequencies_khz: (before, after) of each sample, as the runner read them.
        cpus: the core that each sample ran on.
        cores: the device's.

    None for a sample whose core or frequency is not known.
    """
    highest = {core.number: core.max_khz for core in cores}
    marks: list[bool | None] = []
    for (before, after), cpu in zip(frequencies_khz, cpus, strict=True):
        limit = highest.get(cpu) if cpu is not None else None
        known = [frequency for frequency in (before, after) if frequency is not None]
        marks.append(min(known) < FULL_CLOCK * limit if known and limit else None)
    return marks
