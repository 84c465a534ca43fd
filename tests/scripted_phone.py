"""A scripted Pixel 7 for `bench`: heat, modes and clocks are simulated; the lock, the files and the runner are real.

    python -m tests.scripted_phone FOLDER bench --device adb:pixel7 ...

is the command line, with the scripted phone whose files are in FOLDER instead of one that adb finds.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.android_harness.toolchain import HOST_ABI
from edgedeploy.benchmarks.devices import TRANSPORTS
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.transports.scripted import ScriptedConnection, ScriptedDevice, pixel_7

if TYPE_CHECKING:
    import pytest

ADDRESS = "adb:pixel7"
CORES = os.cpu_count() or 1
BIG = 1 << (CORES - 1)  # the mask of its one big core
ANDROID_ABI = {"x86-64": "x86_64", "arm64": "arm64-v8a"}


def pixel_of_this_machine(root: Path) -> ScriptedDevice:
    """A Pixel 7 with the ABI of this machine and as many cores, of which the last one is big."""
    return pixel_7(root, abi=ANDROID_ABI[HOST_ABI], clocks_khz=(*(1803000,) * (CORES - 1), 2850000))


def connection(root: Path) -> ScriptedConnection:
    """What `--device adb:pixel7` connects to, with the files below `root`."""
    return ScriptedConnection(root, ADDRESS)


def opened(root: Path) -> RemoteDevice:
    """The phone as `--device adb:pixel7` opens it; its files are left as they are."""
    return RemoteDevice(connection(root))


def processes_on(pixel: ScriptedDevice) -> list[int]:
    """Processes on the phone: its folder is in the environment or the command line of all of them."""
    sign, found = f"SCRIPTED={pixel.root}".encode(), []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has just ended
            if folder.name.isdigit() and any(sign in (folder / file).read_bytes() for file in ("environ", "cmdline")):
                found.append(int(folder.name))
    return found


def when_a_runner_starts(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], str | None]) -> None:
    """Calls `act` with 1, 2, ... just before a device starts a runner; its state was read by then.

    Where `act` returns a shell script, the device runs that instead of the runner.
    """
    run, starts = RemoteDevice.run, itertools.count(1)

    def intercepted(self, command, **options):
        script = act(next(starts))
        return run(self, command if script is None else ["sh", "-c", script], **options)

    monkeypatch.setattr(RemoteDevice, "run", intercepted)


if __name__ == "__main__":
    from edgedeploy.cli.app import main

    _, folder, *arguments = sys.argv
    sys.argv = ["edgedeploy", *arguments]
    TRANSPORTS["adb"] = lambda name: connection(Path(folder))
    main()
