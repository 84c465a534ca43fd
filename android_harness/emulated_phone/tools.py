"""Runs the programs that build and start the emulated phone, and names the missing ones with their packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edgedeploy.core.errors import DeviceError

# program -> Debian package; all of them stand in android_harness/packages.txt too.
PACKAGE_OF = {
    "adb": "adb",
    "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "aarch64-linux-gnu-strip": "binutils-aarch64-linux-gnu",
    "apt-get": "apt",
    "bash": "bash",
    "chroot": "coreutils",
    "dpkg-source": "dpkg-dev",
    "gcc": "gcc",
    "make": "make",
    "qemu-aarch64-static": "qemu-user-static",
    "setpriv": "util-linux",
    "tar": "tar",
    "unshare": "util-linux",
}


def require_tools(programs: Iterable[str], purpose: str) -> None:
    """Raises DeviceError that names every missing program and the packages that bring them."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        packages = " ".join(sorted({PACKAGE_OF[program] for program in missing}))
        raise DeviceError(
            f"{purpose} needs programs that are not installed: {', '.join(missing)}",
            hint=f"apt-get install {packages}",
        )


def call(
    command: Sequence[str | Path], *, log: Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> None:
    """Runs a build step with its output appended to `log`; raises DeviceError with the log's last lines."""
    with log.open("ab") as out:
        out.write(f"$ {' '.join(map(str, command))}\n".encode())
        out.flush()
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        tail = log.read_text(errors="replace").splitlines()[-12:]
        raise DeviceError(
            f"building the emulated phone failed: {Path(command[0]).name} exited with {done.returncode}",
            details=tail,
            hint=f"read {log}",
        )
