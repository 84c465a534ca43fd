"""A phone or a board as a place: the native runner there, through the six verbs.

    <folder>/bundles/<name>/       the runner with its libraries: pushed once
    <folder>/models/<sha256>/      artifacts: pushed once
    <folder>/work/                 inputs and outputs of the row in progress; gone after it

A device that is lost is waited for, and the row in progress begins anew, so that nothing is counted twice.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from edgedeploy.android_harness.bundles import Bundle, build_bundle
from edgedeploy.android_harness.host_runner import split_outputs
from edgedeploy.android_harness.protocol import RunnerAnswer, RunnerPaths, RunRequest, parse_answer
from edgedeploy.android_harness.tensor_files import read_tensors, write_tensors
from edgedeploy.benchmarks.conditions.samples import Attempt, Collected, collect
from edgedeploy.benchmarks.conditions.session import Conditions, MeasurementConditions, Watch, fair_conditions
from edgedeploy.benchmarks.devices import base, open_device, parse_device, read_aliases, require_abi, use_device
from edgedeploy.benchmarks.devices.lock import DeviceLock
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.core.errors import DeviceError, DeviceLost
from edgedeploy.core.measurement import Profile
from edgedeploy.core.storage.files import private_folder

from .base import (
    ExecutorOptions,
    Reporter,
    RunOutput,
    Steps,
    Task,
    as_pairs,
    info_record,
    profile_of,
    profile_request,
    state_record,
    steps_record,
)
from .python_process import RunOptions

T = TypeVar("T")

WORK = "work"
UP = "../.."  # the device's folder, from a bundle's, in which the runner is started
BUNDLE_ABI = {"arm64-v8a": "arm64", "x86_64": "x86-64"}
RETURN_SECONDS = 180.0  # how long a lost device is waited for: a phone that restarts needs about a minute
LOSSES = 3  # of one row; a device that goes more often is not fit


@contextlib.contextmanager
def open_device_executor(text: str, options: ExecutorOptions) -> Iterator[DeviceExecutor]:
    """The device that `text` means, locked, under the conditions asked for. Raises NoDevice, DeviceBusy, DeviceError."""
    device = open_device(text)
    info = device.describe()
    abi = bundle_abi(info)
    with use_device(device) as lock:
        place = DeviceExecutor(device, info, abi, lock, options.hygiene, parse_device(text, read_aliases()).kind)
        try:
            place.enter_conditions()
            yield place
        finally:
            place.close()


def bundle_abi(info: base.DeviceInfo) -> str:
    """The bundles' ABI that the device runs. Raises DeviceError where it runs none."""
    for abi in info.abis:
        if abi in BUNDLE_ABI:
            return BUNDLE_ABI[abi]
    require_abi(info, "arm64-v8a")
    raise AssertionError("unreachable: require_abi refuses what is not listed")


class DeviceExecutor:
    """See the module's docstring; made by `open_device_executor`."""

    is_host = False

    def __init__(
        self,
        device: RemoteDevice,
        info: base.DeviceInfo,
        abi: str,
        lock: DeviceLock,
        hygiene: MeasurementConditions,
        kind: str,
    ) -> None:
        self.device, self.info = device, info_record(kind, device.address, info)
        self._described, self._abi, self._lock, self._hygiene = info, abi, lock, hygiene
        self._bundles: dict[str, Bundle] = {}
        self._brought: set[str] = set()
        self._stack = contextlib.ExitStack()
        self._conditions: Conditions | None = None
        self._interruptions = 0

    @property
    def restored(self) -> Steps:
        """What was undone on the device when the place was closed."""
        return as_pairs(self._conditions.restored) if self._conditions else ()

    # --- conditions --------------------------------------------------------------------------------------------------

    def enter_conditions(self) -> None:
        """Sets the conditions up; again after the device was away, for it may have restarted without them."""
        self._stack.close()
        self._conditions = self._stack.enter_context(fair_conditions(self.device, self._described, self._hygiene))

    @property
    def _in_force(self) -> Conditions:
        assert self._conditions is not None, "open_device_executor sets the conditions up"
        return self._conditions

    def close(self) -> None:
        """Undoes the conditions and removes what the row in progress left. A device that is gone is left alone."""
        with contextlib.suppress(DeviceError):
            self.device.remove(WORK)
        self._stack.close()

    # --- the work ----------------------------------------------------------------------------------------------------

    def prepare(self, task: Task, reporter: Reporter) -> None:
        """Builds the runner and brings it and the file there; what lies there already is not sent again."""
        if task.runner not in self._bundles:
            with reporter.stage(f"get the {task.runner} runner for {self._abi}"):
                self._bundles[task.runner] = build_bundle(task.runner, self._abi)
        with reporter.stage(f"bring {task.name} to {self.device.address}"):
            self._persist(lambda: self._bring(task, reporter), reporter)

    def run(self, task: Task, plan: RunOptions, reporter: Reporter) -> RunOutput:
        """Runs a prepared task there and brings its outputs here."""
        lost_before = self._interruptions
        with private_folder() as here:
            write_tensors(here / "inputs", [tensor for one_set in task.inputs for tensor in one_set])
            done, steps, mask = self._persist(lambda: self._row(task, plan, here, reporter), reporter)
        answer, bundle = done.first.answer, self._bundles[task.runner]
        return RunOutput(
            outputs=done.first.outputs,
            samples_ns=done.samples_ns,
            load_ns=answer.load_ns,
            first_inference_ns=answer.first_inference_ns,
            peak_rss_bytes=answer.peak_rss_bytes,
            runner=task.runner,
            runtime_version=answer.runtime_version or bundle.version,
            cpu_mask=mask,
            conditions=steps,
            throttled=done.throttled,
            slowed=done.slowed,
            discarded_ns=done.discarded_ns,
            interruptions=self._interruptions - lost_before,
            state_before=state_record(done.readings[0]),
            state_during=tuple(state_record(reading) for reading in done.readings[1:-1]),
            state_after=state_record(done.readings[-1]),
            notes=tuple(done.notes()),
        )

    def profile(self, task: Task, plan: RunOptions, reporter: Reporter) -> Profile:
        """From one more start of the runner there, which leaves nothing behind."""
        with private_folder() as here:
            write_tensors(here / "inputs", task.inputs[0])
            return self._persist(lambda: self._profiled(task, plan, here, reporter), reporter)

    def _profiled(self, task: Task, plan: RunOptions, here: Path, reporter: Reporter) -> Profile:
        self._bring(task, reporter)
        self.device.push(here / "inputs", f"{WORK}/inputs")
        answer, _ = self._start(task, profile_request(plan, self._in_force.mask), scratch=f"{UP}/{WORK}")
        self.device.remove(WORK)
        return profile_of(answer)

    def _row(self, task: Task, plan: RunOptions, here: Path, reporter: Reporter) -> tuple[Collected, Steps, int | None]:
        """One row from its beginning, with the conditions it had; whatever an earlier try left is overwritten."""
        conditions = self._in_force
        self._bring(task, reporter)
        self.device.push(here / "inputs", f"{WORK}/inputs")
        request = RunRequest(
            plan.threads, plan.warmup_runs, plan.num_runs, plan.min_secs, plan.max_secs, cpu_mask=conditions.mask
        )
        began_with = len(conditions.steps)

        def once(wanted: RunRequest) -> Attempt:
            conditions.before_row(reporter.note)
            return self._attempt(task, wanted, here)

        done = collect(once, request, self._described.cores)
        self.device.remove(WORK)
        return done, steps_record(conditions, began_with), conditions.mask

    def _attempt(self, task: Task, request: RunRequest, here: Path) -> Attempt:
        with Watch(self.device) as watch:
            answer, began_s = self._start(task, request, outputs=f"{UP}/{WORK}/outputs")
        outputs = read_tensors(self.device.pull(f"{WORK}/outputs", here / "outputs"))
        return Attempt(answer, split_outputs(outputs, len(task.inputs)), began_s, watch.readings)

    def _start(self, task: Task, request: RunRequest, **paths: str) -> tuple[RunnerAnswer, float]:
        """The runner's answer, and this machine's clock when its first line came; `paths`: see `RunnerPaths`."""
        bundle = self._bundles[task.runner]
        files = RunnerPaths(inputs=f"{UP}/{WORK}/inputs", model=f"{UP}/{_model_place(task)}", **paths)
        arguments = request.arguments(task.runner, files)
        first_line: list[float] = []

        def hear(line: str) -> None:
            if not first_line:
                first_line.append(time.time())

        result = self.device.run(
            [*bundle.command("."), *arguments], cwd=_bundle_place(bundle), on_line=hear, timeout=request.timeout_s
        )
        what = f"the {task.runner} runner on {self.device.address}"
        answer = parse_answer(result.stdout, exit_code=result.exit_code, stderr=result.stderr, what=what)
        return answer, first_line[0]

    def _bring(self, task: Task, reporter: Reporter) -> None:
        """Pushes what is not there yet. Under our lock nobody changes it, so it is looked at once, and after each loss."""
        bundle = self._bundles[task.runner]
        for local, remote in ((bundle.folder, _bundle_place(bundle)), (task.path, _model_place(task))):
            if remote not in self._brought:
                self.device.push(local, remote, progress=reporter.advance)
                self._brought.add(remote)

    def _persist(self, work: Callable[[], T], reporter: Reporter) -> T:
        """Does the work, again from its beginning after each return of a lost device.

        Raises DeviceLost or NoDevice when it does not come back in time, or goes LOSSES times.
        """
        for _ in range(LOSSES):
            try:
                return work()
            except DeviceLost as error:
                reporter.note(f"{error.message}; waiting for it, at most {RETURN_SECONDS:g} s")
                self._interruptions += 1
                self._brought.clear()
                self.device.wait_until_back(RETURN_SECONDS)
                self._lock.renew()
                self.enter_conditions()
        return work()


def _bundle_place(bundle: Bundle) -> str:
    return f"bundles/{bundle.folder.name}"


def _model_place(task: Task) -> str:
    return f"models/{task.sha256}/{task.path.name}"
