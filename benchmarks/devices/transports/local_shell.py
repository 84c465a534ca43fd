"""This machine as a device."""

from __future__ import annotations

from pathlib import Path

from edgedeploy.core.errors import DeviceError, DeviceLost
from edgedeploy.core.storage.cache import cache_folder


class LocalConnection:
    """`sh` on this machine; `folder` is below the cache folder unless given."""

    address = "local"
    system_root = ""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or cache_folder("device")

    def argv(self, script: str) -> list[str]:
        """The shell itself."""
        return ["sh", "-c", script]

    def folder(self) -> str:
        """The folder for pushed files."""
        return str(self._folder)

    def reopen(self) -> None:
        """Nothing to do: every session is a new process."""

    def lost(self, stderr: str) -> DeviceError:
        """The error for a shell that was killed."""
        return DeviceLost("the shell on this machine was killed", details=stderr.splitlines()[-3:])
