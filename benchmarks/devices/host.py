"""This machine's description, for results that were measured on it."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from pathlib import Path

from edgedeploy.core.device import Core, DeviceInfo

_CPUS = Path("/sys/devices/system/cpu")


def describe_host() -> DeviceInfo:
    """This machine, as far as the operating system reports it."""
    return DeviceInfo(
        kind="local",
        name="local",
        model=_cpu_name(),
        abis=(platform.machine(),),
        os=f"{platform.system()} {platform.release()}",
        cores=tuple(Core(number, _max_khz(number)) for number in range(os.cpu_count() or 0)),
    )


def as_host(reported: DeviceInfo) -> DeviceInfo:
    """This machine, with the cores that its shell reports: the same description whether a run is recorded or not."""
    return replace(describe_host(), cores=reported.cores)


def _max_khz(core: int) -> int | None:
    try:
        return int((_CPUS / f"cpu{core}" / "cpufreq" / "cpuinfo_max_freq").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
