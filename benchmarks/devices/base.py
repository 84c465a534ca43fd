"""The Device protocol: list, describe, push, run, pull, remove; and the records that they return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgedeploy.core.device import DeviceInfo

Progress = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True)
class FoundDevice:
    """One row of a list of devices.

    Attributes:
        address: what `--device` takes: "adb:R5CT10XYZ", "local".
        state: "device" when it can be used, else as adb reports it: "offline", "unauthorized", "no permissions".
        model, product: as the device reports them, or "".
    """

    address: str
    state: str = "device"
    model: str = ""
    product: str = ""

    def __str__(self) -> str:
        return "  ".join(part for part in (self.address, self.model, self.product, f"({self.state})") if part)


@dataclass(frozen=True)
class PushResult:
    """What a push did.

    Attributes:
        path: absolute, on the device.
        sent_bytes, sent_files: what was sent.
        skipped_bytes, skipped_files: what was there already.
    """

    path: str
    sent_bytes: int = 0
    skipped_bytes: int = 0
    sent_files: int = 0
    skipped_files: int = 0


@dataclass(frozen=True)
class CommandResult:
    """How a command on the device ended.

    Attributes:
        exit_code: above 128 it is 128 + the signal that ended the command, as shells report it.
    """

    command: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def signal(self) -> int | None:
        """The signal that ended the command, if one did."""
        return self.exit_code - 128 if self.exit_code > 128 else None


@dataclass(frozen=True)
class Holder:
    """Who holds a device."""

    user: str
    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"{self.user}@{self.host}, process {self.pid}, since {self.since}"


class Device(Protocol):
    """What files are copied to and programs run on.

    Paths on it are relative to `folder`, which holds all of edgedeploy's files; `remove("")` removes that folder. All
    methods raise DeviceLost when the device goes away, and DeviceError where a command on it fails.
    """

    @property
    def address(self) -> str:
        """What `--device` takes."""

    @property
    def folder(self) -> str:
        """The absolute path of the one folder that holds all of edgedeploy's files."""

    def list(self) -> tuple[str, ...]:
        """The files in the folder, by relative name."""

    def describe(self) -> DeviceInfo:
        """What the device is."""

    def push(self, local: Path, remote: str, *, progress: Progress | None = None) -> PushResult:
        """Copies a file, or a folder of files, to `remote`; what is there already is not sent again."""

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: str = "",
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], object] | None = None,
        timeout: float | None = 600.0,
    ) -> CommandResult:
        """Runs a program to its end in folder `cwd`; `on_line` receives each line of stdout as it comes."""

    def pull(self, remote: str, local: Path, *, progress: Progress | None = None) -> Path:
        """Copies a file to this machine; it appears at `local` whole or not at all."""

    def remove(self, remote: str) -> None:
        """Removes a file or folder; a missing one is no error."""
