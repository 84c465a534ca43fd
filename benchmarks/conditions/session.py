"""The conditions of a measurement: set up on an unrooted phone, logged, and restored afterwards.

    with apply_conditions(device, info, MeasurementConditions(cores="big", max_start_temperature_c=35)) as conditions:
        conditions.begin_row()
        conditions.before_run()                     # cooldown, start temperature
        with ThermalWatch(device) as watch:
            device.run(["./runner", "--cpu-mask", f"{conditions.mask:x}", ...])
        conditions.log                              # what was set up, for the Measurement
        watch.readings                              # states before, during and after
    conditions.restored                             # what was restored

What the device does not offer is logged as "not available".
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.core.device import ConditionLogEntry, DeviceInfo, DeviceState
from edgedeploy.core.errors import DeviceError

from .cores import core_mask
from .modes import FIXED_PERFORMANCE, restore_fixed_performance, set_fixed_performance
from .options import MeasurementConditions
from .temperature import Clock, cool_down, wait_for_temperature

START_TEMPERATURE = "start temperature"
NOT_AVAILABLE = "not available"


def _ignore(text: str) -> None:
    return None


class Conditions:
    """The conditions in force; made by `apply_conditions`.

    Attributes:
        mask: the cores to run on, bit n for core n; None when none were chosen.
    """

    def __init__(self, device: RemoteDevice, options: MeasurementConditions, mask: int | None = None) -> None:
        self.device, self.options, self.mask = device, options, mask
        self._setup: list[ConditionLogEntry] = []
        self._row: list[ConditionLogEntry] = []
        self._restored: list[ConditionLogEntry] = []
        self._runs = 0

    @property
    def log(self) -> tuple[ConditionLogEntry, ...]:
        """What was set up for all rows, then what was done for the current row."""
        return (*self._setup, *self._row)

    @property
    def restored(self) -> tuple[ConditionLogEntry, ...]:
        """What was restored, or could not be and why; empty while the conditions are in force."""
        return tuple(self._restored)

    def log_setup(self, name: str, outcome: str) -> None:
        """Records a condition that holds for all rows."""
        self._setup.append(ConditionLogEntry(name, outcome))

    def log_restored(self, name: str, outcome: str) -> None:
        """Records how restoring a condition went."""
        self._restored.append(ConditionLogEntry(name, outcome))

    def begin_row(self) -> None:
        """Starts the log of a new row of results."""
        self._row = []

    def before_run(self, notify: Callable[[str], None] = _ignore, clock: Clock | None = None) -> DeviceState:
        """Waits as asked for; returns the state in which the run starts. Raises DeviceTooHot."""
        clock = clock or Clock()
        if self._runs and self.options.cooldown_s:
            cool_down(self.options.cooldown_s, notify, clock)
        self._runs += 1
        limit_c = self.options.max_start_temperature_c
        if limit_c is None:
            return self.device.read_state()
        state, found_c = wait_for_temperature(self.device, limit_c, self.options.start_timeout_s, notify, clock)
        outcome = NOT_AVAILABLE if found_c is None else f"{found_c:.1f} °C"
        self._row.append(ConditionLogEntry(START_TEMPERATURE, outcome))
        return state


@contextlib.contextmanager
def apply_conditions(device: RemoteDevice, info: DeviceInfo, options: MeasurementConditions) -> Iterator[Conditions]:
    """Sets up what `options` asks for and restores it afterwards, also after an error or a Ctrl-C."""
    mask = core_mask(info.cores, options.cores)
    conditions = Conditions(device, options, mask)
    if options.cores != "all":
        conditions.log_setup(f"cores {options.cores}", NOT_AVAILABLE if mask is None else f"mask {mask:x}")
    fixed: bool | None = None  # None: an interruption came before the device answered, so the mode may be on
    try:
        if options.fixed_performance:
            fixed = set_fixed_performance(device, info, on=True)
            conditions.log_setup(FIXED_PERFORMANCE, "done" if fixed else NOT_AVAILABLE)
        yield conditions
    finally:
        if options.fixed_performance and fixed is not False:
            conditions.log_restored(FIXED_PERFORMANCE, restore_fixed_performance(device, info))


class ThermalWatch:
    """Reads the device's state every few seconds while a command runs, in a thread of its own.

    `readings` has one state before, those during, and one after. A device that goes away ends the readings and raises
    nothing.
    """

    def __init__(self, device: RemoteDevice, interval_s: float = 5.0) -> None:
        self._device, self._interval_s = device, interval_s
        self.readings: list[DeviceState] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="thermal watch", daemon=True)

    def __enter__(self) -> ThermalWatch:
        self.readings.append(self._device.read_state())
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(DeviceError):
            self.readings.append(self._device.read_state())

    def _work(self) -> None:
        while not self._stop.wait(self._interval_s):
            try:
                self.readings.append(self._device.read_state())
            except DeviceError:
                return
