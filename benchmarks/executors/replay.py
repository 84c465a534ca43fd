"""The executor for a recorded device: it does what the one for a device does, and sends nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from edgedeploy.android_harness.bundles import Bundle
from edgedeploy.benchmarks.conditions.session import ThermalWatch
from edgedeploy.benchmarks.recording.records import Record, read_record
from edgedeploy.benchmarks.recording.replay import ReplayClock, ReplayDevice
from edgedeploy.core.errors import DeviceError, ResultsInvalid
from edgedeploy.core.reporter import Reporter

from .base import ExecutorOptions, RunOptions, RunOutput, Workload
from .device import DeviceExecutor, in_force


@contextlib.contextmanager
def open_replay_executor(path: Path, options: ExecutorOptions) -> Iterator[DeviceExecutor]:
    """Opens a record as a device. Raises ResultsInvalid."""
    record = read_record(path)
    executor = ReplayExecutor(ReplayDevice(record), record, options)
    with in_force(executor):
        yield executor


class _NoLock:
    """Nobody else uses a record."""

    def renew(self) -> None:
        """Nothing to take."""


class ReplayExecutor(DeviceExecutor):
    """The bundles are those of the record, and nothing is pushed."""

    def __init__(self, device: ReplayDevice, record: Record, options: ExecutorOptions) -> None:
        super().__init__(device, record.header.info, record.header.abi, _NoLock(), options.conditions)
        self._replayed, self._record = device, record
        self.clock = ReplayClock(device)

    def prepare(self, workload: Workload, reporter: Reporter) -> None:
        """Finds the runner that was used. Raises ResultsInvalid where this runtime was not recorded."""
        used = self._record.header.bundles.get(workload.runtime)
        if used is None:
            raise ResultsInvalid(
                f"{self._record.path} has no run of {workload.runtime}, which {workload.name} needs",
                details=[f"it was recorded with {' '.join(self._record.header.options.artifacts)}"],
            )
        self.bundles[workload.runtime] = Bundle(
            workload.runtime, self._record.header.abi, used.version, Path(used.name)
        )

    def run(self, workload: Workload, options: RunOptions, reporter: Reporter) -> RunOutput:
        """As it ran when it was recorded, with a note that says so."""
        output = super().run(workload, options, reporter)
        return replace(output, notes=(f"replayed from {self._record.path.name}: nothing was run", *output.notes))

    def _push(self, workload: Workload, reporter: Reporter) -> None:
        """What was pushed is in the record, for people."""

    def _watch(self) -> ThermalWatch:
        return _RecordedWatch(self._replayed)


class _RecordedWatch(ThermalWatch):
    """The states that were read before, during and after the run."""

    def __init__(self, device: ReplayDevice) -> None:
        super().__init__(device)
        self._replayed = device

    def __enter__(self) -> ThermalWatch:
        self.readings.append(self._replayed.read_state())
        return self

    def __exit__(self, *error: object) -> None:
        self.readings += self._replayed.states_until_now()
        with contextlib.suppress(DeviceError):
            self.readings.append(self._replayed.read_state())
