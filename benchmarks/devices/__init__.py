"""Devices: phones over adb, boards over ssh, this machine. They all know the same six verbs; see base.py.

device = open_device("adb:pixel7")
with use_device(device):                        # one user at a time
    device.push(Path("bundle"), "bundles/ort")
    result = device.run(["./runner"], cwd="bundles/ort")
"""

from __future__ import annotations

from collections.abc import Mapping

from edgedeploy.core.errors import DeviceError, UsageError

from .base import Core, Device, DeviceInfo, DeviceState, FoundDevice, Holder, Progress, PushResult, RunResult
from .discovery import DeviceName, choose_adb, parse_device, read_aliases
from .lock import use_device
from .remote import Connection, RemoteDevice
from .transports.adb import connect, is_network_address, list_adb, open_adb
from .transports.local_shell import LocalConnection
from .transports.ssh import SshConnection

__all__ = [
    "open_device",
    "list_devices",
    "parse_device",
    "use_device",
    "require_abi",
    "Core",
    "Connection",
    "Device",
    "DeviceInfo",
    "DeviceName",
    "DeviceState",
    "FoundDevice",
    "Holder",
    "Progress",
    "PushResult",
    "RemoteDevice",
    "RunResult",
]


def open_device(text: str = "local", aliases: Mapping[str, str] | None = None) -> RemoteDevice:
    """The device that a person means by `text`; see names.py. Raises NoDevice, UnknownName, UsageError.

    Aliases come from the configuration files unless they are given.
    """
    name = parse_device(text, read_aliases() if aliases is None else aliases)
    if name.kind == "local":
        return RemoteDevice(LocalConnection())
    if name.kind == "ssh":
        return RemoteDevice(SshConnection(name.name))
    if name.kind == "qemu":
        raise UsageError("qemu counts instructions and is no device to push to")
    found = list_adb()
    if is_network_address(name.name) and name.name not in [device.address.removeprefix("adb:") for device in found]:
        connect(name.name)
        return RemoteDevice(open_adb(name.name))
    return RemoteDevice(open_adb(choose_adb(name.name, found)))


def list_devices() -> tuple[FoundDevice, ...]:
    """This machine, and every phone that adb knows, usable or not."""
    return (FoundDevice("local"), *list_adb())


def require_abi(info: DeviceInfo, abi: str) -> None:
    """Raises DeviceError where programs built for `abi` do not run on the device."""
    if abi not in info.abis:
        raise DeviceError(
            f"{info.address} does not run {abi} programs",
            details=[f"it runs {', '.join(info.abis) or 'nothing known'}"],
            hint="edgedeploy runner build --abi arm64|x86-64 builds for the two that there are",
        )
