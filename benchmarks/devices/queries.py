"""What a device reports about itself: two scripts, and the parsers of their output. What it does not report is None."""

from __future__ import annotations

import re
from collections.abc import Mapping

from edgedeploy.core.device import Core, DeviceInfo, DeviceState

from . import shell_scripts as shell

# The output has sections that begin with a line `@@ name`; what a device lacks is an empty section.
_SECTION = "section() { printf '\\n@@ %s\\n' \"$1\"; }"

_DESCRIBE = f"""\
{_SECTION}
section getprop; getprop 2>/dev/null
section machine; uname -m
section kernel; uname -sr
section os; cat "$root/etc/os-release" 2>/dev/null
section board; tr -d '\\0' <"$root/proc/device-tree/model" 2>/dev/null
section memory; grep MemTotal "$root/proc/meminfo" 2>/dev/null
section cores
for core in "$root"/sys/devices/system/cpu/cpu[0-9]*; do
    clock=
    [ -r "$core/cpufreq/cpuinfo_max_freq" ] && read -r clock <"$core/cpufreq/cpuinfo_max_freq"
    echo "${{core##*/cpu}} $clock"
done 2>/dev/null
:"""

_STATE = f"""\
{_SECTION}
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
        echo "${{core##*/cpu}} $clock $governor"
done 2>/dev/null
:"""

ABI_OF_MACHINE = {"aarch64": "arm64-v8a", "armv7l": "armeabi-v7a", "armv8l": "armeabi-v7a", "i686": "x86"}

EMULATORS = ("qemu", "goldfish", "ranchu")  # values of `ro.hardware`


def describe_script(system_root: str) -> str:
    """Prints what `parse_description` reads. `system_root` is the prefix of /sys, /proc and /etc, usually ""."""
    return f"root={shell.quote(system_root)}\n{_DESCRIBE}"


def state_script(system_root: str) -> str:
    """Prints what `parse_state` reads."""
    return f"root={shell.quote(system_root)}\n{_STATE}"


def parse_description(address: str, text: str) -> DeviceInfo:
    """DeviceInfo from the output of `describe_script`; `address` is what `--device` takes."""
    parts = _sections(text)
    props = parse_properties(parts.get("getprop", ""))
    machine = parts.get("machine", "")
    abis = (
        props.get("ro.product.cpu.abilist") or props.get("ro.product.cpu.abi") or ABI_OF_MACHINE.get(machine, machine)
    )
    memory = re.search(r"(\d+) kB", parts.get("memory", ""))
    release = props.get("ro.build.version.release")
    linux = re.search(r'^PRETTY_NAME="?(.*?)"?$', parts.get("os", ""), flags=re.MULTILINE)
    api_level = props.get("ro.build.version.sdk", "")
    return DeviceInfo(
        kind=address.partition(":")[0],
        name=address,
        serial=props.get("ro.serialno") or None,
        manufacturer=props.get("ro.product.manufacturer") or None,
        model=props.get("ro.product.model") or parts.get("board") or None,
        product=props.get("ro.product.device") or props.get("ro.product.name") or None,
        # Android 12 and newer report the SoC's model; older ones have a platform name at best.
        soc=props.get("ro.soc.model") or props.get("ro.board.platform") or None,
        abis=tuple(abi for abi in abis.split(",") if abi),
        os=f"Android {release}" if release else (linux.group(1) if linux else None),
        api_level=int(api_level) if api_level.isdigit() else None,
        build=props.get("ro.build.fingerprint") or None,
        kernel=parts.get("kernel") or None,
        memory_bytes=int(memory.group(1)) * 1024 if memory else None,
        cores=_parse_cores(parts.get("cores", "")),
        emulated=props.get("ro.hardware") in EMULATORS or props.get("ro.boot.qemu", props.get("ro.kernel.qemu")) == "1",
    )


def parse_properties(text: str) -> dict[str, str]:
    """Output of `getprop`: lines of `[name]: [value]`, where a value may span several lines."""
    return dict(re.findall(r"^\[(.+?)\]: \[(.*?)\]$", text, flags=re.MULTILINE | re.DOTALL))


def parse_state(text: str, host_time_s: float) -> DeviceState:
    """DeviceState from the output of `state_script`."""
    parts = _sections(text)
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


def _sections(text: str) -> dict[str, str]:
    pieces = re.split(r"^@@ (\w+)\r?\n", text, flags=re.MULTILINE)
    return {name: content.strip() for name, content in zip(pieces[1::2], pieces[2::2], strict=True)}


def _parse_cores(text: str) -> tuple[Core, ...]:
    cores = []
    for line in text.splitlines():
        number, _, clock = line.partition(" ")
        if number.isdigit():
            cores.append(Core(int(number), int(clock) if clock.strip().isdigit() else None))
    return tuple(sorted(cores, key=lambda core: core.number))


def _thermal_service(text: str) -> Mapping[str, float]:
    """The current temperatures of Android's thermal service, by sensor.

    Current temperatures from HAL:
        Temperature{mValue=37.4, mType=0, mName=BIG, mStatus=0}
    """
    current = text.partition("Current temperatures from HAL:")[2].partition("Current cooling devices")[0]
    pairs = re.findall(r"Temperature\{mValue=([-\d.]+), mType=-?\d+, mName=([^,]+),", current)
    return {name: float(value) for value, name in pairs if _plausible(float(value))}


def _zones(text: str) -> Mapping[str, float]:
    """The kernel's thermal zones, in thousandths of a degree; absurd values of unplugged sensors are left out."""
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
