"""A scripted Pixel 7 under bench: heat, modes and clocks are played; the lock, the files and the runner are real.

    python -m tests.scripted_phone FOLDER bench --device adb:pixel7 ...

is the command line, with the phone whose world is FOLDER where adb would find one.
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
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.transports.scripted import ScriptedConnection, ScriptedDevice, pixel_7
from edgedeploy.benchmarks.executors import device as on_device

if TYPE_CHECKING:
    import pytest

ADDRESS = "adb:pixel7"
CORES = os.cpu_count() or 1
BIG = 1 << (CORES - 1)  # the mask of its one big core
ANDROID_ABI = {"x86-64": "x86_64", "arm64": "arm64-v8a"}


def pixel_of_this_machine(root: Path) -> ScriptedDevice:
    """A Pixel 7 with the ABI of this machine and as many cores, of which the last one is big."""
    return pixel_7(root, abi=ANDROID_ABI[HOST_ABI], clocks_khz=(*(1803000,) * (CORES - 1), 2850000))


def opened(root: Path) -> RemoteDevice:
    """The phone as `--device adb:pixel7` opens it; its world is left as it is."""
    return RemoteDevice(ScriptedConnection(root, ADDRESS))


def processes_on(pixel: ScriptedDevice) -> list[int]:
    """What runs on the phone: its shells are told its folder, and what they start has it in its environment."""
    sign, found = f"SCRIPTED={pixel.root}".encode(), []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has just ended
            if folder.name.isdigit() and any(sign in (folder / file).read_bytes() for file in ("environ", "cmdline")):
                found.append(int(folder.name))
    return found


def when_a_runner_starts(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None]) -> None:
    """Calls `act` with 1, 2, ... just before a device starts a runner: the reading before it is over by then."""
    run, starts = RemoteDevice.run, itertools.count(1)

    def noticed(self, command, **options):
        act(next(starts))
        return run(self, command, **options)

    monkeypatch.setattr(RemoteDevice, "run", noticed)


if __name__ == "__main__":
    from edgedeploy.cli.app import main

    _, folder, *arguments = sys.argv
    sys.argv = ["edgedeploy", *arguments]
    on_device.open_device = lambda text="", aliases=None: opened(Path(folder))
    main()
