"""Devices: phones over adb, boards over ssh, this machine. `Device` in base.py describes what all of them can do.

device = open_device("adb:pixel7")
with use_device(device):                        # one user at a time
    device.push(Path("bundle"), "bundles/ort")
    result = device.run(["./runner"], cwd="bundles/ort")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgedeploy.core.device import DeviceInfo
from edgedeploy.core.errors import DeviceError, UsageError

from .base import CommandResult, Device, FoundDevice, Holder, Progress, PushResult
from .discovery import DeviceName, parse_device, read_aliases
from .host import as_host, describe_host
from .lock import use_device
from .remote import Connection, RemoteDevice
from .transports.adb import connect_adb, list_adb
from .transports.local_shell import LocalConnection
from .transports.ssh import SshConnection

__all__ = [
    "open_device",
    "list_devices",
    "parse_device",
    "read_aliases",
    "use_device",
    "require_abi",
    "as_host",
    "describe_host",
    "CommandResult",
    "Connection",
    "Device",
    "DeviceName",
    "FoundDevice",
    "Holder",
    "Progress",
    "PushResult",
    "RemoteDevice",
    "TRANSPORTS",
]

# By the kind of a device, what connects to the one with a name. Tests put a scripted device here.
TRANSPORTS: dict[str, Callable[[str], Connection]] = {
    "local": lambda name: LocalConnection(),
    "adb": connect_adb,
    "ssh": SshConnection,
}


def open_device(device: str | DeviceName = "local", aliases: Mapping[str, str] | None = None) -> RemoteDevice:
    """Opens a device, by its name as a person types it (see discovery.py), or as it was parsed already.

    Aliases come from the configuration files unless they are given. Raises NoDevice, UnknownName, UsageError.
    """
    if isinstance(device, str):
        device = parse_device(device, read_aliases() if aliases is None else aliases)
    if device.kind == "replay":
        raise UsageError("a record only answers what was asked when it was made", hint="edgedeploy bench --device")
    if device.kind not in TRANSPORTS:
        raise UsageError(f"{device.kind} counts instructions: nothing can be copied to it, and no command run")
    return RemoteDevice(TRANSPORTS[device.kind](device.name))


def list_devices() -> tuple[FoundDevice, ...]:
    """This machine, and every phone that adb knows, usable or not."""
    return (FoundDevice("local"), *list_adb())


def require_abi(info: DeviceInfo, abi: str) -> None:
    """Raises DeviceError where programs built for `abi` do not run on the device."""
    if abi not in info.abis:
        raise DeviceError(
            f"{info.name} does not run {abi} programs",
            details=[f"it runs {', '.join(info.abis) or 'nothing known'}"],
            hint="edgedeploy runner build --abi arm64|x86-64 builds for the two that there are",
        )
