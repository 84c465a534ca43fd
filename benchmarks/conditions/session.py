"""Fair conditions on an unrooted phone, each one recorded and undone.

    with fair_conditions(device, info, MeasurementConditions(cores="big", max_start_temperature_c=35)) as conditions:
        conditions.before_row()                                   # cooldown, start temperature
        with Watch(device) as watch:
            result = device.run(conditions.pinned(["./runner", ...]))
        throttled = watch.throttled(sample_times_s)               # one bool a sample
    conditions.steps, conditions.restored                           # what was done and undone, for the Measurement

A step that the device does not offer is recorded as "not available"; none is claimed that was not done.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from edgedeploy.benchmarks.devices.base import Core, DeviceInfo, DeviceState
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.state import read_state
from edgedeploy.core.errors import DeviceError, DeviceTooHot, UsageError

FIXED_PERFORMANCE = "fixed performance mode"
FIXED_PERFORMANCE_API = 30  # Android 11
NOT_AVAILABLE = "not available"

# Above this share of its top clock a core still counts as running at it: governors step in some five percent.
FULL_CLOCK = 0.9


@dataclass(frozen=True)
class MeasurementConditions:
    """What is asked for.

    Attributes:
        cores: "big", "little", "all", or a mask such as "f0" or "0xf0", lowest bit for core 0.
        fixed_performance: Android's mode that holds clocks at a level that the phone can keep.
        max_start_temperature_c: wait before each row until the hottest sensor of the processor is below this.
        start_timeout_s: how long to wait for it.
        cooldown_s: pause before each row but the first.
    """

    cores: str = "all"
    fixed_performance: bool = True
    max_start_temperature_c: float | None = None
    start_timeout_s: float = 300.0
    cooldown_s: float = 0.0


@dataclass(frozen=True)
class Step:
    """One thing that was done for fairness, or undone, and how it went: "done", "not available", a figure, "undone"."""

    name: str
    outcome: str


# --- cores -----------------------------------------------------------------------------------------------------------


def core_mask(cores: Sequence[Core], wanted: str) -> int | None:
    """Affinity mask for `wanted`; None for "all", and where the device does not tell its cores' clocks.

    Big cores are those with the highest top clock, little ones those with the lowest: on a phone of three kinds the
    middle ones are neither. A device of one kind has no little cores and all are big. Raises UsageError.
    """
    if wanted == "all":
        return None
    if wanted not in ("big", "little"):
        return _explicit_mask(cores, wanted)
    clocks = [core.max_khz for core in cores]
    if not clocks or any(clock is None for clock in clocks):
        return None
    chosen = max(clocks) if wanted == "big" else min(clocks)  # type: ignore[type-var]
    if wanted == "little" and len(set(clocks)) == 1:
        raise UsageError("this device has no little cores: all have the same top clock", hint="--cores all")
    return sum(1 << core.number for core in cores if core.max_khz == chosen)


def _explicit_mask(cores: Sequence[Core], wanted: str) -> int:
    try:
        mask = int(wanted, 16)
    except ValueError:
        raise UsageError(f"--cores {wanted}: neither big, little, all nor a hexadecimal mask such as f0") from None
    there = sum(1 << core.number for core in cores)
    if mask <= 0 or mask & ~there:
        raise UsageError(f"--cores {wanted}: this device has cores {', '.join(str(core.number) for core in cores)}")
    return mask


# --- the block of measuring ------------------------------------------------------------------------------------------


@dataclass
class Conditions:
    """The conditions in force.

    Attributes:
        mask: None when no cores were chosen.
        steps: what was done, for the Measurement.
        restored: what was undone, or could not be and why; empty as long as the conditions are in force.
    """

    device: RemoteDevice
    options: MeasurementConditions
    mask: int | None
    steps: list[Step] = field(default_factory=list)
    restored: list[Step] = field(default_factory=list)
    _rows: int = 0

    def pinned(self, command: Sequence[str]) -> list[str]:
        """The command, bound to the chosen cores."""
        return list(command) if self.mask is None else ["taskset", f"{self.mask:x}", *command]

    def before_row(self, say: Callable[[str], None] = lambda line: None, clock: Clock | None = None) -> DeviceState:
        """Waits as asked for, then gives the state in which the row starts. Raises DeviceTooHot."""
        clock = clock or Clock()
        if self._rows and self.options.cooldown_s:
            say(f"cooling down for {self.options.cooldown_s:g} s")
            clock.sleep(self.options.cooldown_s)
        self._rows += 1
        state = read_state(self.device)
        limit = self.options.max_start_temperature_c
        if limit is None:
            return state
        temperature = hottest_c(state)
        if temperature is None:
            self.steps.append(Step("start temperature", NOT_AVAILABLE))
            return state
        start = clock.now()
        while temperature > limit:
            if clock.now() - start > self.options.start_timeout_s:
                raise DeviceTooHot(
                    f"{self.device.address} is at {temperature:.1f} °C after {self.options.start_timeout_s:g} s of waiting",
                    details=[f"it was to start below {limit:g} °C"],
                    hint="unplug the charger, take it out of its case, or a higher --max-start-temp",
                )
            say(f"waiting for {limit:g} °C, now {temperature:.1f} °C")
            clock.sleep(5.0)
            state = read_state(self.device)
            temperature = hottest_c(state) or temperature
        self.steps.append(Step("start temperature", f"{temperature:.1f} °C"))
        return state


@contextlib.contextmanager
def fair_conditions(device: RemoteDevice, info: DeviceInfo, options: MeasurementConditions) -> Iterator[Conditions]:
    """Sets up what `options` asks for and undoes it afterwards, also after an error or a Ctrl-C."""
    mask = core_mask(info.cores, options.cores)
    conditions = Conditions(device, options, mask)
    if options.cores != "all":
        conditions.steps.append(Step(f"cores {options.cores}", NOT_AVAILABLE if mask is None else f"mask {mask:x}"))
    fixed: bool | None = None  # an interruption may come before the device has answered
    try:
        if options.fixed_performance:
            fixed = _set_fixed_performance(device, info, on=True)
            conditions.steps.append(Step(FIXED_PERFORMANCE, "done" if fixed else NOT_AVAILABLE))
        yield conditions
    finally:
        if options.fixed_performance and fixed is not False:
            conditions.restored.append(Step(FIXED_PERFORMANCE, _undo_fixed_performance(device, info)))


def _undo_fixed_performance(device: RemoteDevice, info: DeviceInfo) -> str:
    try:
        return "undone" if _set_fixed_performance(device, info, on=False) else "not restored: the device refused"
    except DeviceError as error:  # it forgets the mode when it restarts
        return f"not restored: {error.message}"


def _set_fixed_performance(device: RemoteDevice, info: DeviceInfo, *, on: bool) -> bool:
    if info.api_level is None or info.api_level < FIXED_PERFORMANCE_API:
        return False
    word = "true" if on else "false"
    # Where a device lacks the mode the command says so on stdout or stderr, and exits with 255 or, before Android 12, 0.
    code, said = device.ask(f"cmd power set-fixed-performance-mode-enabled {word} 2>&1")
    return code == 0 and not said.strip()


# --- heat ------------------------------------------------------------------------------------------------------------

PROCESSOR_SENSORS = ("cpu", "big", "mid", "little", "soc", "cluster", "tsens", "apc", "x86_pkg")


def hottest_c(state: DeviceState) -> float | None:
    """The hottest sensor of the processor; where none is known by name the battery's; None where there is neither."""
    sensors = state.temperatures_c or {}
    processor = [value for name, value in sensors.items() if any(part in name.lower() for part in PROCESSOR_SENSORS)]
    return max(processor) if processor else state.battery_temperature_c


class Clock:
    """Time, so that a test can wait without waiting."""

    def now(self) -> float:
        """Seconds of a clock that never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)


class Watch:
    """Reads the state every few seconds while a command runs, in a thread of its own.

    `readings` has one before, those during, and one after. A device that goes away ends the watching, not the program.
    """

    def __init__(self, device: RemoteDevice, interval_s: float = 5.0) -> None:
        self._device, self._interval = device, interval_s
        self.readings: list[DeviceState] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self.readings.append(read_state(self._device))
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(DeviceError):
            self.readings.append(read_state(self._device))

    def throttled(self, sample_times_s: Sequence[float]) -> list[bool] | None:
        """For each sample, by the host's clock when it came: was the device throttling? See `throttled_samples`."""
        return throttled_samples(sample_times_s, self.readings)

    def _work(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self.readings.append(read_state(self._device))
            except DeviceError:
                return


def throttled_samples(sample_times_s: Sequence[float], readings: Sequence[DeviceState]) -> list[bool] | None:
    """Marks the samples between two readings of which one told a thermal status above none.

    The status may have changed anywhere between two readings, so both sides are suspect. None where the device tells no
    thermal status at all.
    """
    told = [reading for reading in readings if reading.thermal_status is not None]
    if not told:
        return None
    marks = []
    for moment in sample_times_s:
        before = [reading for reading in told if reading.host_time_s <= moment][-1:]
        after = [reading for reading in told if reading.host_time_s > moment][:1]
        marks.append(any(reading.thermal_status for reading in (*before, *after)))
    return marks


def slowed_samples(
    clocks_khz: Sequence[tuple[int | None, int | None]], cpus: Sequence[int | None], cores: Sequence[Core]
) -> list[bool | None]:
    """Marks the samples whose core ran below its top clock before or after; from the runner's own readings.

    Args:
        clocks_khz: (before, after) of each sample.
        cpus: the core that each sample ran on.
        cores: the device's.

    None for a sample of which core or clock is not known.
    """
    top = {core.number: core.max_khz for core in cores}
    marks: list[bool | None] = []
    for (before, after), cpu in zip(clocks_khz, cpus, strict=True):
        limit = top.get(cpu) if cpu is not None else None
        known = [clock for clock in (before, after) if clock is not None]
        marks.append(min(known) < FULL_CLOCK * limit if known and limit else None)
    return marks
