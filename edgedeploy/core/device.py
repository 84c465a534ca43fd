"""A device: what it is, and what it was like at one moment. None always means that the device does not report it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Core:
    """One processor core: its number and the highest clock frequency it offers."""

    number: int
    max_khz: int | None = None


@dataclass(frozen=True)
class DeviceInfo:
    """What stays the same while a device is used.

    Attributes:
        kind: "local", "adb", "ssh" or "qemu".
        name: what `--device` takes, such as "adb:R5CT10XYZ".
        abis: Android's names, the preferred one first: "arm64-v8a", "armeabi-v7a", "x86_64".
        os: such as "Android 14" or "Debian GNU/Linux 12 (bookworm)".
        api_level: Android's, else None.
        build: fingerprint of the installed system.
        emulated: the device is an emulator: its times mean nothing.
    """

    kind: str
    name: str
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    product: str | None = None
    soc: str | None = None
    abis: tuple[str, ...] = ()
    os: str | None = None
    api_level: int | None = None
    build: str | None = None
    kernel: str | None = None
    memory_bytes: int | None = None
    cores: tuple[Core, ...] = ()
    emulated: bool = False

    @property
    def abi(self) -> str:
        """The preferred ABI, or ""."""
        return self.abis[0] if self.abis else ""

    @property
    def display_name(self) -> str:
        """Manufacturer and model, each said once."""
        model, maker = self.model or "", self.manufacturer or ""
        return model if model.lower().startswith(maker.lower()) else f"{maker} {model}".strip()

    @property
    def display_os(self) -> str:
        """The operating system with its API level, where it has one."""
        level = f" (API {self.api_level})" if self.api_level is not None else ""
        return f"{self.os or ''}{level}"


@dataclass(frozen=True)
class DeviceState:
    """What a device was like at one moment.

    Attributes:
        host_time_s: this machine's clock, seconds since 1970, when the answer came.
        thermal_status: Android's, 0 none, 1 light, 2 moderate, 3 severe, 4 critical, 5 emergency, 6 shutdown.
        temperatures_c: by sensor, as the kernel names it.
        frequencies_khz, governors: by core number.
    """

    host_time_s: float
    battery_percent: int | None = None
    battery_temperature_c: float | None = None
    plugged: bool | None = None
    screen_on: bool | None = None
    thermal_status: int | None = None
    temperatures_c: Mapping[str, float] | None = None
    frequencies_khz: Mapping[int, int] | None = None
    governors: Mapping[int, str] | None = None


@dataclass(frozen=True)
class ConditionLogEntry:
    """One measurement condition that was set up or restored, and how that went: "done", "not available", a figure."""

    name: str
    outcome: str


# Parts of the names that kernels give to the processor's temperature sensors.
PROCESSOR_SENSORS = ("cpu", "big", "mid", "little", "soc", "cluster", "tsens", "apc", "x86_pkg")


def hottest_c(state: DeviceState) -> float | None:
    """The hottest of the processor's sensors in °C; the battery's where none is known by name; None without either."""
    sensors = state.temperatures_c or {}
    processor = [value for name, value in sensors.items() if any(part in name.lower() for part in PROCESSOR_SENSORS)]
    return max(processor) if processor else state.battery_temperature_c
