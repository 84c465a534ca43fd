"""The executor for a phone or a board: the native runner there.

    <folder>/bundles/<name>/       the runner with its libraries: pushed once
    <folder>/models/<sha256>/      artifacts: pushed once
    <folder>/work/                 inputs and outputs of the current row; removed after it

A device that is lost is waited for, and the current row begins anew, so that nothing is counted twice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from edgedeploy.android_harness.bundles import Bundle, build_bundle
from edgedeploy.android_harness.host_runner import split_outputs
from edgedeploy.android_harness.protocol import RunnerAnswer, RunnerPaths, RunRequest, parse_answer
from edgedeploy.android_harness.tensor_files import read_tensors, write_tensors
from edgedeploy.benchmarks.conditions import MeasurementConditions
from edgedeploy.benchmarks.conditions.samples import Attempt, Collected, collect
from edgedeploy.benchmarks.conditions.session import Conditions, ThermalWatch, apply_conditions
from edgedeploy.benchmarks.conditions.temperature import Clock
from edgedeploy.benchmarks.devices import DeviceName, as_host, open_device, require_abi, use_device
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.core.device import ConditionLogEntry, DeviceInfo
from edgedeploy.core.errors import DeviceError, DeviceLost
from edgedeploy.core.measurement import Profile
from edgedeploy.core.reporter import Reporter
from edgedeploy.core.storage.files import private_folder

from .base import (
    ExecutorOptions,
    RunOptions,
    RunOutput,
    Workload,
    output_from_samples,
    profile_from_answer,
    profile_request,
    repeats_of,
    run_request,
)

T = TypeVar("T")

WORK = "work"
UP = "../.."  # the device's folder, from a bundle's, in which the runner is started
BUNDLE_ABI = {"arm64-v8a": "arm64", "x86_64": "x86-64"}
RETURN_SECONDS = 180.0  # how long a lost device is waited for: a phone that restarts needs about a minute
MAX_LOSSES = 3  # of one row


@contextlib.contextmanager
def open_device_executor(name: DeviceName, options: ExecutorOptions) -> Iterator[DeviceExecutor]:
    """Opens and locks a device, under the conditions asked for. Raises NoDevice, DeviceBusy, DeviceError."""
    device = open_device(name)
    if options.recorder:
        from edgedeploy.benchmarks.recording.recorder import RecordingDevice

        device = RecordingDevice(device.connection, options.recorder)
    info = device.describe()
    abi = bundle_abi(info)
    info = as_host(info) if info.kind == "local" else info
    with use_device(device) as lock:
        executor = DeviceExecutor(device, info, abi, lock, options.conditions)
        if options.recorder:
            options.recorder.info, options.recorder.bundles = info, executor.bundles
        with in_force(executor):
            yield executor


@contextlib.contextmanager
def in_force(executor: DeviceExecutor) -> Iterator[None]:
    """The conditions, during the block."""
    try:
        executor.enter_conditions()
        yield
    finally:
        executor.close()


def bundle_abi(info: DeviceInfo) -> str:
    """The bundles' ABI that the device runs. Raises DeviceError where it runs none."""
    for abi in info.abis:
        if abi in BUNDLE_ABI:
            return BUNDLE_ABI[abi]
    require_abi(info, "arm64-v8a")
    raise AssertionError("unreachable: require_abi raises for an ABI that is not listed")


@dataclass(frozen=True)
class _Row:
    """A measured row, with the conditions it had."""

    collected: Collected
    condition_log: tuple[ConditionLogEntry, ...]
    cpu_mask: int | None


class Renewable(Protocol):
    """The lock of a device, as far as an executor uses it."""

    def renew(self) -> None:
        """Takes it again after the device was away."""


class DeviceExecutor:
    """See the module's docstring; made by `open_device_executor`."""

    clock: Clock | None = None  # for waiting; None for this machine's

    def __init__(
        self, device: RemoteDevice, info: DeviceInfo, abi: str, lock: Renewable, options: MeasurementConditions
    ) -> None:
        self.device, self.info = device, info
        self.is_host = info.kind == "local"  # reached through its shell, to record what is said
        self._abi, self._lock, self._options = abi, lock, options
        self.bundles: dict[str, Bundle] = {}
        self._pushed: set[str] = set()
        self._stack = contextlib.ExitStack()
        self._conditions: Conditions | None = None
        self._interruptions = 0

    @property
    def restored(self) -> tuple[ConditionLogEntry, ...]:
        """What was restored on the device when the executor was closed."""
        return self._conditions.restored if self._conditions else ()

    # --- conditions --------------------------------------------------------------------------------------------------

    def enter_conditions(self) -> None:
        """Sets the conditions up; again after the device was away, for it may have restarted without them."""
        self._stack.close()
        self._conditions = self._stack.enter_context(apply_conditions(self.device, self.info, self._options))

    @property
    def _in_force(self) -> Conditions:
        assert self._conditions is not None, "open_device_executor sets the conditions up"
        return self._conditions

    def close(self) -> None:
        """Restores the conditions and removes what the current row left. A device that is gone is left alone."""
        with contextlib.suppress(DeviceError):
            self.device.remove(WORK)
        self._stack.close()

    # --- the work ----------------------------------------------------------------------------------------------------

    def prepare(self, workload: Workload, reporter: Reporter) -> None:
        """Builds the runner and pushes it and the file; what is on the device already is not sent again."""
        if workload.runtime not in self.bundles:
            with reporter.stage(f"get the {workload.runtime} runner for {self._abi}"):
                self.bundles[workload.runtime] = build_bundle(workload.runtime, self._abi)
        with reporter.stage(f"push {workload.name} to {self.device.address}"):
            self._persist(lambda: self._push(workload, reporter), reporter)

    def run(self, workload: Workload, options: RunOptions, reporter: Reporter) -> RunOutput:
        """Runs a prepared workload on the device and pulls its outputs."""
        losses_before = self._interruptions
        with private_folder() as folder:
            write_tensors(folder / "inputs", [tensor for one_set in workload.inputs for tensor in one_set])
            row = self._persist(lambda: self._row(workload, options, folder, reporter), reporter)
        readings = row.collected.readings
        return replace(
            output_from_samples(row.collected, workload.runtime, self.bundles[workload.runtime].version),
            cpu_mask=row.cpu_mask,
            condition_log=row.condition_log,
            interruptions=self._interruptions - losses_before,
            state_before=readings[0],
            state_during=readings[1:-1],
            state_after=readings[-1],
        )

    def profile(self, workload: Workload, options: RunOptions, reporter: Reporter) -> Profile:
        """From one more launch of the runner, which leaves nothing behind."""
        with private_folder() as folder:
            write_tensors(folder / "inputs", workload.inputs[0])
            return self._persist(lambda: self._profile(workload, options, folder, reporter), reporter)

    def _profile(self, workload: Workload, options: RunOptions, folder: Path, reporter: Reporter) -> Profile:
        self._push(workload, reporter)
        self.device.push(folder / "inputs", f"{WORK}/inputs")
        answer, _ = self._launch(workload, profile_request(options, self._in_force.mask), scratch=f"{UP}/{WORK}")
        self.device.remove(WORK)
        return profile_from_answer(answer)

    def _row(self, workload: Workload, options: RunOptions, folder: Path, reporter: Reporter) -> _Row:
        """One row from its beginning; whatever an interrupted one left is overwritten."""
        conditions = self._in_force
        self._push(workload, reporter)
        self.device.push(folder / "inputs", f"{WORK}/inputs")
        conditions.begin_row()

        def attempt(request: RunRequest) -> Attempt:
            conditions.before_run(reporter.note, self.clock)
            return self._attempt(workload, request, folder)

        request = run_request(options, conditions.mask)
        collected = collect(attempt, request, self.info.cores, options.launches, repeats_of(options))
        self.device.remove(WORK)
        return _Row(collected, conditions.log, conditions.mask)

    def _attempt(self, workload: Workload, request: RunRequest, folder: Path) -> Attempt:
        with self._watch() as watch:
            answer, began_s = self._launch(workload, request, outputs=f"{UP}/{WORK}/outputs")
        outputs = read_tensors(self.device.pull(f"{WORK}/outputs", folder / "outputs"))
        return Attempt(answer, split_outputs(outputs, len(workload.inputs)), began_s, watch.readings)

    def _watch(self) -> ThermalWatch:
        return ThermalWatch(self.device)

    def _launch(self, workload: Workload, request: RunRequest, **paths: str) -> tuple[RunnerAnswer, float]:
        """The runner's answer, and this machine's clock when its first line came; `paths`: see `RunnerPaths`."""
        bundle = self.bundles[workload.runtime]
        files = RunnerPaths(inputs=f"{UP}/{WORK}/inputs", model=f"{UP}/{_model_path(workload)}", **paths)
        line_times: list[float] = []
        result = self.device.run(
            [*bundle.command("."), *request.arguments(workload.runtime, files)],
            cwd=_bundle_path(bundle),
            on_line=lambda line: line_times.append(self.device.now()),
            timeout=request.timeout_s,
        )
        what = f"the {workload.runtime} runner on {self.device.address}"
        answer = parse_answer(result.stdout, exit_code=result.exit_code, stderr=result.stderr, what=what)
        return answer, line_times[0]

    def _push(self, workload: Workload, reporter: Reporter) -> None:
        """Pushes what is missing: checked once, and after each loss; nobody else changes it while the lock is held."""
        bundle = self.bundles[workload.runtime]
        for local, remote in ((bundle.folder, _bundle_path(bundle)), (workload.path, _model_path(workload))):
            if remote not in self._pushed:
                self.device.push(local, remote, progress=reporter.advance)
                self._pushed.add(remote)

    def _persist(self, work: Callable[[], T], reporter: Reporter) -> T:
        """Does the work, again from its beginning after each return of a lost device.

        Raises DeviceLost or NoDevice when the device does not come back in time, or is lost more than MAX_LOSSES times.
        """
        for _ in range(MAX_LOSSES):
            try:
                return work()
            except DeviceLost as error:
                reporter.note(f"{error.message}; waiting for it, at most {RETURN_SECONDS:g} s")
                self._interruptions += 1
                self._pushed.clear()
                self.device.wait_until_back(RETURN_SECONDS)
                self._lock.renew()
                self.enter_conditions()
        return work()


def _bundle_path(bundle: Bundle) -> str:
    return f"bundles/{bundle.folder.name}"


def _model_path(workload: Workload) -> str:
    return f"models/{workload.sha256}/{workload.path.name}"
