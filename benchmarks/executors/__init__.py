"""Where an artifact runs: this machine, a device, an emulated Arm CPU. `open_executor` opens the one that is named."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from edgedeploy.benchmarks.conditions import MeasurementConditions
from edgedeploy.core.errors import UsageError

from .base import LEGACY_RUNTIME, Executor, ExecutorOptions, RunOptions, RunOutput, Workload

__all__ = [
    "open_executor",
    "Executor",
    "ExecutorOptions",
    "MeasurementConditions",
    "RunOptions",
    "RunOutput",
    "Workload",
]


@contextlib.contextmanager
def open_executor(device: str, options: ExecutorOptions | None = None) -> Iterator[Executor]:
    """Opens the executor for a device as a person types it, and closes it after the block.

    Raises UnknownName, UsageError, NoDevice, DeviceBusy.
    """
    # Imported only when an executor is opened: the process that measures through a runtime's Python binding imports this
    # package too, and its memory is part of the result.
    from edgedeploy.benchmarks.devices import parse_device, read_aliases

    options = options or ExecutorOptions()
    name = parse_device(device, read_aliases())
    if options.runtime not in (None, LEGACY_RUNTIME):
        raise UsageError(
            f"--runtime {options.runtime} is unknown: it takes {LEGACY_RUNTIME}, or is left out for the artifact's own"
        )
    if options.runtime and name.kind != "local":
        raise UsageError(f"{LEGACY_RUNTIME} is a Python package and runs on this machine only", hint="--device local")
    if options.recorder and (name.kind in ("qemu", "replay") or options.runtime):
        raise UsageError(f"--record keeps the dialogue with a device, and {options.runtime or name.kind} has none")
    if name.kind == "replay":
        from .replay import open_replay_executor

        with open_replay_executor(Path(name.name), options) as replayed:
            yield replayed
    elif name.kind == "local" and not options.recorder:
        from .host import open_host_executor

        with open_host_executor(options) as host:
            yield host
    elif name.kind == "qemu":
        from .qemu import QemuExecutor

        if options.conditions != MeasurementConditions():
            raise UsageError(
                "an emulated CPU has no cores to choose and no temperature", hint="leave these options out"
            )
        yield QemuExecutor(name.name)
    else:
        from .device import open_device_executor

        with open_device_executor(name, options) as remote:
            yield remote
