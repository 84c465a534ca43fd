"""Boards without adb, through the system's ssh: keys, jump hosts and everything else stay in the user's own ~/.ssh/config.

Many short conversations go faster with `ControlMaster auto` and `ControlPersist 60` there.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence

from edgedeploy.benchmarks.devices import shell_scripts as shell
from edgedeploy.benchmarks.devices.shell_session import converse, with_receipt
from edgedeploy.core.errors import DeviceError, DeviceLost, NoDevice, UsageError


class SshConnection:
    """A host that ssh reaches without asking anything: `user@host`, `host` or `user@host:port`.

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
        """The user's login shell may be any; it starts a POSIX one."""
        program = shutil.which("ssh")
        if program is None:
            raise DeviceError("ssh is not installed", hint="apt-get install openssh-client")
        return [program, *self._command, f"exec sh -c {shell.quote(script)}"]

    def folder(self) -> str:
        """Below the user's home, which unlike /tmp may hold programs."""
        script, token = with_receipt('printf %s "$HOME"')
        out = bytearray()
        answer = converse(self.argv(script), token=token, on_stdout=out.extend, timeout=30)
        if answer.exit_code is None:
            raise self.lost(answer.stderr.decode(errors="replace").strip())
        return f"{out.decode(errors='replace')}/.cache/edgedeploy-device"

    def reopen(self) -> None:
        """Every conversation is a new connection."""

    def lost(self, stderr: str) -> DeviceError:
        """The error for a conversation that broke off or never began."""
        said = stderr.splitlines()[-3:]
        if re.search(r"Permission denied|Host key verification|Too many authentication", stderr):
            return NoDevice(
                f"{self.address} does not let us in",
                details=said,
                hint=f"make `ssh {self.address.removeprefix('ssh:')} true` work without a question first",
            )
        if re.search(r"Could not resolve|Connection refused|No route|timed out", stderr):
            return NoDevice(f"{self.address} cannot be reached", details=said)
        return DeviceLost(f"{self.address} broke off the conversation", details=said)
