"""This machine as a device, so that local and phone runs go through the same verbs."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

from edgedeploy.core.errors import DeviceError, DeviceLost


class LocalConnection:
    """`sh` on this machine; `folder` is below the user's cache unless given."""

    address = "local"
    system_root = ""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or user_cache_path("edgedeploy") / "device"

    def argv(self, script: str) -> list[str]:
        """The shell itself."""
        return ["sh", "-c", script]

    def folder(self) -> str:
        """Where pushed files go."""
        return str(self._folder)

    def reopen(self) -> None:
        """Every conversation is a new connection."""

    def lost(self, stderr: str) -> DeviceError:
        """The shell was killed."""
        return DeviceLost("the shell on this machine was killed", details=stderr.splitlines()[-3:])
