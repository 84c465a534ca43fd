"""Boards without adb, through the system's ssh: keys, jump hosts and everything else stay in the user's own ~/.ssh/config.

Many short sessions are faster with `ControlMaster auto` and `ControlPersist 60` there.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence

from edgedeploy.benchmarks.devices import shell_scripts as shell
from edgedeploy.benchmarks.devices.shell_session import Limits, run_script
from edgedeploy.core.errors import DeviceError, DeviceLost, NoDevice, UsageError


class SshConnection:
    """A host that ssh reaches without a password prompt: `user@host`, `host` or `user@host:port`.

    Args:
        destination: as above.
        options: further options of ssh, such as ("-F", "file").
    """

    system_root = ""

    def __init__(self, destination: str, options: Sequence[str] = ()) -> None:
        match = re.fullmatch(r"((?:[^@\s:]+@)?[^@\s:-][^@\s:]*)(?::(\d+))?", destination)
        if not match or destination.startswith("-"):
            raise UsageError(f"'{destination}' is not user@host", hint="--device ssh:user@host, or ssh:user@host:port")
        self.address = f"ssh:{destination}"
        port = ["-p", match.group(2)] if match.group(2) else []
        self._command = ["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=10"]
        self._command += [*port, *options, "--", match.group(1)]

    def argv(self, script: str) -> list[str]:
        """The user's login shell may be any, so it starts a POSIX one."""
        program = shutil.which("ssh")
        if program is None:
            raise DeviceError("ssh is not installed", hint="apt-get install openssh-client")
        return [program, *self._command, f"exec sh -c {shell.quote(script)}"]

    def folder(self) -> str:
        """Below the user's home; from /tmp programs may not be allowed to run."""
        out = bytearray()
        result = run_script(self.argv, 'printf %s "$HOME"', on_stdout=out.extend, limits=Limits(30))
        if result.exit_code is None:
            raise self.lost(result.stderr_text)
        return f"{out.decode(errors='replace')}/.cache/edgedeploy-device"

    def reopen(self) -> None:
        """Nothing to do: every session is a new connection."""

    def lost(self, stderr: str) -> DeviceError:
        """The error for a session that was interrupted or could not be opened."""
        details = stderr.splitlines()[-3:]
        if re.search(r"Permission denied|Host key verification|Too many authentication", stderr):
            return NoDevice(
                f"{self.address} refused the login",
                details=details,
                hint=f"make `ssh {self.address.removeprefix('ssh:')} true` work without a password prompt first",
            )
        if re.search(r"Could not resolve|Connection refused|No route|timed out", stderr):
            return NoDevice(f"{self.address} cannot be reached", details=details)
        return DeviceLost(f"{self.address} closed the connection", details=details)
