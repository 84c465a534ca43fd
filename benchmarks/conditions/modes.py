"""Android's fixed performance mode: it holds the clock frequencies at a level that the phone can sustain."""

from __future__ import annotations

from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.core.device import DeviceInfo
from edgedeploy.core.errors import DeviceError

FIXED_PERFORMANCE = "fixed performance mode"
FIXED_PERFORMANCE_API = 30  # Android 11


def set_fixed_performance(device: RemoteDevice, info: DeviceInfo, *, on: bool) -> bool:
    """Switches the mode on or off. Returns False where the device lacks it. Raises DeviceLost."""
    if info.api_level is None or info.api_level < FIXED_PERFORMANCE_API:
        return False
    value = "true" if on else "false"
    # A device without the mode prints an error on stdout or stderr, and exits with 255 or, before Android 12, 0.
    exit_code, output = device.ask(f"cmd power set-fixed-performance-mode-enabled {value} 2>&1")
    return exit_code == 0 and not output.strip()


def restore_fixed_performance(device: RemoteDevice, info: DeviceInfo) -> str:
    """Switches the mode off, and returns the outcome for the condition log. A device that is gone raises nothing."""
    try:
        if set_fixed_performance(device, info, on=False):
            return "restored"
        return "not restored: the device refused"
    except DeviceError as error:  # a phone that restarts is without the mode
        return f"not restored: {error.message}"
