"""What a device is to the rest of edgedeploy: six verbs, and the plain data that they give back.

None always means that the device does not tell; nothing is guessed in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgedeploy.core.device import DeviceInfo

Progress = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True)
class FoundDevice:
    """One line of a listing.

    Attributes:
        address: what `--device` takes: "adb:R5CT10XYZ", "local".
        state: "device" when it can be used, else the tool's word: "offline", "unauthorized", "no permissions".
        model, product: as the device calls itself, or "".
    """

    address: str
    state: str = "device"
    model: str = ""
    product: str = ""

    def __str__(self) -> str:
        return "  ".join(part for part in (self.address, self.model, self.product, f"({self.state})") if part)


@dataclass(frozen=True)
class PushResult:
    """What a push did. `path` is where it lies on the device; bytes that were there already are `skipped`."""

    path: str
    sent_bytes: int = 0
    skipped_bytes: int = 0
    sent_files: int = 0
    skipped_files: int = 0


@dataclass(frozen=True)
class CommandResult:
    """What a command on the device did; its exit code and stderr are never dropped.

    `exit_code` above 128 is 128 + the signal that ended it, as shells tell it.
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
    """A place where artifacts run. Paths on it are relative to its one folder, `folder`; `remove("")` removes that.

    All verbs raise DeviceLost when the device goes away, and DeviceError for what it refuses.
    """

    @property
    def address(self) -> str:
        """What `--device` takes."""

    @property
    def folder(self) -> str:
        """The absolute path of the one folder in which everything of edgedeploy lies."""

    def list(self) -> tuple[str, ...]:
        """The files in the folder, by relative name."""

    def describe(self) -> DeviceInfo:
        """What it is."""

    def push(self, local: Path, remote: str, *, progress: Progress | None = None) -> PushResult:
        """Brings a file, or a folder of files, to `remote`; what is there already is not sent again."""

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: str = "",
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = 600.0,
    ) -> CommandResult:
        """Runs a program to its end in folder `cwd`; `on_line` hears each line of stdout as it comes."""

    def pull(self, remote: str, local: Path, *, progress: Progress | None = None) -> Path:
        """Brings a file back; it appears at `local` whole or not at all."""

    def remove(self, remote: str) -> None:
        """Removes a file or folder; none there is fine."""
