"""This machine as a device, so that local and phone runs go through the same verbs."""

from __future__ import annotations

from platformdirs import user_cache_path

from edgedeploy.core.errors import DeviceError, DeviceLost


class LocalConnection:
    """`sh` on this machine."""

    address = "local"
    system_root = ""

    def argv(self, script: str) -> list[str]:
        """The shell itself."""
        return ["sh", "-c", script]

    def folder(self) -> str:
        """Below the user's cache."""
        return str(user_cache_path("edgedeploy") / "device")

    def lost(self, stderr: str) -> DeviceError:
        """The shell was killed."""
        return DeviceLost("the shell on this machine was killed", details=stderr.splitlines()[-3:])
