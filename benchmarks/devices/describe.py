"""What a device says of itself: one script, and the one place where its answer is parsed."""

from __future__ import annotations

import re

from .base import Core, DeviceInfo

# Sections are set apart by lines that no section contains; what a device lacks is an empty section.
DESCRIBE_SCRIPT = """\
root=ROOT
section() { printf '\\n@@ %s\\n' "$1"; }
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
    echo "${core##*/cpu} $clock"
done 2>/dev/null
:"""

ABI_OF_MACHINE = {"aarch64": "arm64-v8a", "armv7l": "armeabi-v7a", "armv8l": "armeabi-v7a", "i686": "x86"}

EMULATORS = ("qemu", "goldfish", "ranchu")  # as `ro.hardware` names them


def sections(text: str) -> dict[str, str]:
    """The parts of an answer that is set apart by lines of `@@ name`."""
    pieces = re.split(r"^@@ (\w+)\r?\n", text, flags=re.MULTILINE)
    return {name: content.strip() for name, content in zip(pieces[1::2], pieces[2::2], strict=True)}


def parse_properties(text: str) -> dict[str, str]:
    """`getprop`'s lines: [name]: [value], where a value may go over several lines."""
    return dict(re.findall(r"^\[(.+?)\]: \[(.*?)\]$", text, flags=re.MULTILINE | re.DOTALL))


def parse_description(address: str, text: str) -> DeviceInfo:
    """DeviceInfo out of the answer to DESCRIBE_SCRIPT."""
    parts = sections(text)
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
        address=address,
        serial=props.get("ro.serialno") or None,
        manufacturer=props.get("ro.product.manufacturer") or None,
        model=props.get("ro.product.model") or parts.get("board") or None,
        product=props.get("ro.product.device") or props.get("ro.product.name") or None,
        # Android 12 and newer name the chip; older ones have a platform name at best.
        soc=props.get("ro.soc.model") or props.get("ro.board.platform") or None,
        abis=tuple(abi for abi in abis.split(",") if abi),
        system=f"Android {release}" if release else (linux.group(1) if linux else None),
        api_level=int(api_level) if api_level.isdigit() else None,
        build=props.get("ro.build.fingerprint") or None,
        kernel=parts.get("kernel") or None,
        memory_bytes=int(memory.group(1)) * 1024 if memory else None,
        cores=_parse_cores(parts.get("cores", "")),
        emulated=props.get("ro.hardware") in EMULATORS or props.get("ro.boot.qemu", props.get("ro.kernel.qemu")) == "1",
    )


def _parse_cores(text: str) -> tuple[Core, ...]:
    cores = []
    for line in text.splitlines():
        number, _, clock = line.partition(" ")
        if number.isdigit():
            cores.append(Core(int(number), int(clock) if clock.strip().isdigit() else None))
    return tuple(sorted(cores, key=lambda core: core.number))
