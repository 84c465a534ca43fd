"""What a device is like at this moment: battery, screen, heat, clocks. One script, one parser; what is not told is None."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from . import shell_scripts as shell
from .base import DeviceState
from .describe import sections
from .remote import RemoteDevice

THERMAL_NAMES = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")

STATE_SCRIPT = """\
root=ROOT
section() { printf '\\n@@ %s\\n' "$1"; }
section battery; dumpsys battery 2>/dev/null
section power; dumpsys power 2>/dev/null | grep mWakefulness=
section thermal; dumpsys thermalservice 2>/dev/null
section zones
for zone in "$root"/sys/class/thermal/thermal_zone*; do
    read -r type <"$zone/type" && read -r temp <"$zone/temp" && echo "$temp $type"
done 2>/dev/null
section clocks
for core in "$root"/sys/devices/system/cpu/cpu[0-9]*; do
    read -r clock <"$core/cpufreq/scaling_cur_freq" && read -r governor <"$core/cpufreq/scaling_governor" &&
        echo "${core##*/cpu} $clock $governor"
done 2>/dev/null
:"""


def read_state(device: RemoteDevice) -> DeviceState:
    """The device's state now. Raises DeviceLost."""
    script = STATE_SCRIPT.replace("ROOT", shell.quote(device.system_root))
    _, text = device.ask(script)
    return parse_state(text, time.time())


def parse_state(text: str, host_time_s: float) -> DeviceState:
    """DeviceState out of the answer to STATE_SCRIPT."""
    parts = sections(text)
    battery = dict(re.findall(r"^\s*([\w ]+): (\S+)$", parts.get("battery", ""), flags=re.MULTILINE))
    awake = re.search(r"mWakefulness=(\w+)", parts.get("power", ""))
    thermal = parts.get("thermal", "")
    status = re.search(r"^Thermal Status: (\d+)", thermal, flags=re.MULTILINE)
    clocks = [line.split() for line in parts.get("clocks", "").splitlines()]
    plugs = [battery[kind] == "true" for kind in ("AC powered", "USB powered", "Wireless powered") if kind in battery]
    return DeviceState(
        host_time_s=host_time_s,
        battery_percent=_integer(battery.get("level")),
        # in tenths of a degree
        battery_temperature_c=_scaled(battery.get("temperature"), 10),
        plugged=any(plugs) if plugs else None,
        screen_on=awake.group(1) == "Awake" if awake else None,
        thermal_status=int(status.group(1)) if status else None,
        temperatures_c=_thermal_service(thermal) or _zones(parts.get("zones", "")) or None,
        frequencies_khz={int(core): int(clock) for core, clock, _ in clocks} or None,
        governors={int(core): governor for core, _, governor in clocks} or None,
    )


def _thermal_service(text: str) -> Mapping[str, float]:
    """Temperatures as Android's thermal service has them from the chip now, by sensor.

    Current temperatures from HAL:
        Temperature{mValue=37.4, mType=0, mName=BIG, mStatus=0}
    """
    current = text.partition("Current temperatures from HAL:")[2].partition("Current cooling devices")[0]
    pairs = re.findall(r"Temperature\{mValue=([-\d.]+), mType=-?\d+, mName=([^,]+),", current)
    return {name: float(value) for value, name in pairs if _plausible(float(value))}


def _zones(text: str) -> Mapping[str, float]:
    """The kernel's thermal zones, in thousandths of a degree; unplugged sensors tell absurd figures and are left out."""
    found = {}
    for line in text.splitlines():
        value, _, name = line.partition(" ")
        if re.fullmatch(r"-?\d+", value) and _plausible(int(value) / 1000):
            found[name] = int(value) / 1000
    return found


def _plausible(temperature_c: float) -> bool:
    return -30 < temperature_c < 150 and temperature_c != 0


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else None


def _scaled(text: str | None, divisor: int) -> float | None:
    number = _integer(text)
    return None if number is None else number / divisor
