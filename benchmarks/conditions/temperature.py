"""Temperature before a run: cooldown, and waiting for the start temperature."""

from __future__ import annotations

import time
from collections.abc import Callable

from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.core.device import DeviceState, hottest_c
from edgedeploy.core.errors import DeviceTooHot

POLL_S = 5.0


class Clock:
    """Time, which tests replace."""

    def now(self) -> float:
        """Seconds of a monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)


def cool_down(seconds: float, notify: Callable[[str], None], clock: Clock) -> None:
    """Pauses between two runs."""
    notify(f"cooling down for {seconds:g} s")
    clock.sleep(seconds)


def wait_for_temperature(
    device: RemoteDevice, limit_c: float, timeout_s: float, notify: Callable[[str], None], clock: Clock
) -> tuple[DeviceState, float | None]:
    """Waits until the hottest sensor of the processor is at most `limit_c`.

    Returns the last state and its temperature, None where the device reports none. Raises DeviceTooHot after `timeout_s`.
    """
    state = device.read_state()
    temperature_c = hottest_c(state)
    if temperature_c is None:
        return state, None
    start = clock.now()
    while temperature_c > limit_c:
        if clock.now() - start > timeout_s:
            raise DeviceTooHot(
                f"{device.address} is at {temperature_c:.1f} °C after {timeout_s:g} s of waiting",
                details=[f"the run was to start at {limit_c:g} °C or below"],
                hint="unplug the charger, take it out of its case, or a higher --max-start-temp",
            )
        notify(f"waiting for {limit_c:g} °C, now {temperature_c:.1f} °C")
        clock.sleep(POLL_S)
        state = device.read_state()
        temperature_c = hottest_c(state) or temperature_c
    return state, temperature_c
