"""What a person types after --device, and which device that is.

    local                     this machine
    adb                       the phone in ANDROID_SERIAL, or the only one that is connected
    adb:NAME                  an alias, a serial, or a model or product name: "Pixel 7" or pixel7
    adb:192.0.2.7:5555        a phone on the network; adb connects to it
    ssh:user@host[:port]      a board
    replay:FILE               a record of `bench --record FILE`; nothing that `open_device` opens
    qemu[:CPU]                executed instructions under emulation; nothing that `open_device` opens
    NAME                      an alias

Aliases are in the table [devices] of `edgedeploy.toml`, in the current folder or one above it, else in the user's:

    [devices]
    desk = "adb:R5CT10XYZ"
    board = "ssh:pi@192.0.2.8"
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_config_path

from edgedeploy.core.errors import NoDevice, UnknownName, UsageError
from edgedeploy.core.storage.config_file import CONFIG, config_paths, read_config

from .base import FoundDevice

KINDS = ("local", "adb", "ssh", "qemu", "replay")


@dataclass(frozen=True)
class DeviceName:
    """A device as typed: its kind, and the name after the colon or ""."""

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


def parse_device(text: str, aliases: Mapping[str, str] | None = None) -> DeviceName:
    """The kind and name of a device as typed; an alias is followed once. Raises UnknownName, UsageError."""
    aliases = aliases or {}
    kind, _, name = text.strip().partition(":")
    if kind == "adb" and name in aliases:
        text = aliases[name]
    elif kind not in KINDS and text in aliases:
        text = aliases[text]
    kind, _, name = text.strip().partition(":")
    if kind not in KINDS and text in aliases.values():
        kind, name = "adb", text  # an alias of a bare serial
    if kind not in KINDS:
        raise UnknownName(
            "device", text, [*KINDS, *aliases], hint="--device local, adb:NAME, ssh:user@host or qemu:CPU"
        )
    if kind == "ssh" and not name:
        raise UsageError("ssh needs a host", hint="--device ssh:user@host")
    if kind == "replay" and not name:
        raise UsageError("replay needs a file", hint="--device replay:FILE, which bench --record FILE wrote")
    if kind == "local" and name:
        raise UsageError(f"'{text}': this machine is called local and nothing else", hint="--device local")
    return DeviceName(kind, name)


def read_aliases(start: Path | None = None) -> dict[str, str]:
    """The aliases of the nearest `edgedeploy.toml` that has any, else the user's. Raises UsageError for a broken file."""
    candidates = list(config_paths(start))
    with contextlib.suppress(RuntimeError):  # a user without a home folder, as containers have them
        candidates.append(user_config_path("edgedeploy") / CONFIG)
    for path in candidates:
        if path.is_file() and (aliases := _aliases_in(path)):
            return aliases
    return {}


def _aliases_in(path: Path) -> dict[str, str]:
    table = read_config(path).get("devices", {})
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise UsageError(f"[devices] in {path} is not a table of names", hint='desk = "adb:R5CT10XYZ"')
    return table


def choose_adb(name: str, found: Sequence[FoundDevice]) -> str:
    """The serial of the device that `name` means.

    Without a name: ANDROID_SERIAL, or the only usable one. A serial counts before a model's name; usable devices count
    before others. Raises NoDevice, with the list of those found.
    """
    name = name or os.environ.get("ANDROID_SERIAL", "")
    serials = [device.address.removeprefix("adb:") for device in found]
    if name in serials:
        return name
    if name:
        meant = [device for device in found if _plain(name) in (_plain(device.model), _plain(device.product))]
    else:
        meant = list(found)
    usable = [device for device in meant if device.state == "device"] or meant
    if len(usable) == 1:
        return usable[0].address.removeprefix("adb:")
    if not found:
        raise NoDevice("no phone is connected", hint="connect one with USB debugging on; `adb devices` must list it")
    if not usable:
        raise NoDevice(
            f"no phone is called '{name}'", details=[str(device) for device in found], hint="edgedeploy devices"
        )
    raise NoDevice(
        f"{len(usable)} phones are called '{name}'"
        if name
        else f"{len(usable)} phones are connected and none was chosen",
        details=[str(device) for device in usable],
        hint=f"--device {usable[0].address}, or set ANDROID_SERIAL",
    )


def _plain(text: str) -> str:
    """ "Pixel 7" -> "pixel7"."""
    return re.sub(r"[^a-z0-9]", "", text.lower())
