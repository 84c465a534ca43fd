"""This machine as a place: the native runner as a child process, the same program and loop as on a phone.

Where the runner cannot be built (no compiler, no CMake) the runtimes' Python bindings measure instead, and the result says
so. The old runtime, tflite-runtime 2.14.0, runs here too, in an environment of its own.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace

from edgedeploy.android_harness.bundles import Bundle, build_bundle
from edgedeploy.android_harness.host_runner import HostRunOptions
from edgedeploy.android_harness.host_runner import run_on_host as run_native
from edgedeploy.android_harness.legacy_tflite.environment import build_legacy_tflite
from edgedeploy.android_harness.protocol import RunRequest
from edgedeploy.android_harness.toolchain import HOST_ABI
from edgedeploy.benchmarks.conditions.samples import Attempt, collect
from edgedeploy.benchmarks.conditions.session import Conditions, fair_conditions
from edgedeploy.benchmarks.devices.base import Core
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.state import read_state
from edgedeploy.benchmarks.devices.transports.local_shell import LocalConnection
from edgedeploy.core.errors import RunnerFailed, UsageError
from edgedeploy.core.measurement import DeviceInfo, Profile

from . import python_process as local
from .base import (
    LEGACY_RUNTIME,
    ExecutorOptions,
    Reporter,
    RunOutput,
    Steps,
    Task,
    as_pairs,
    profile_of,
    profile_request,
    state_record,
    steps_record,
)
from .python_process import RunOptions


@contextlib.contextmanager
def open_host_executor(options: ExecutorOptions) -> Iterator[HostExecutor]:
    """This machine, under the conditions asked for."""
    device = RemoteDevice(LocalConnection())
    info = device.describe()
    with fair_conditions(device, info, options.hygiene) as conditions:
        described = replace(local.describe(), core_khz=tuple(core.max_khz for core in info.cores))
        yield HostExecutor(described, info.cores, conditions, options.runtime)


class HostExecutor:
    """See the module's docstring."""

    is_host = True

    def __init__(
        self, info: DeviceInfo, cores: tuple[Core, ...], conditions: Conditions, runtime: str | None = None
    ) -> None:
        self.info, self._cores, self._conditions, self._runtime = info, cores, conditions, runtime
        self._bundles: dict[str, Bundle | None] = {}
        self._why_not = ""

    @property
    def restored(self) -> Steps:
        """What was undone here when the place was left."""
        return as_pairs(self._conditions.restored)

    def prepare(self, task: Task, reporter: Reporter) -> None:
        """Builds the runner, at the first time. Where that cannot be done, says so."""
        if self._runtime == LEGACY_RUNTIME and task.runner != "litert":
            raise UsageError(f"{LEGACY_RUNTIME} runs tflite-* artifacts only, and {task.name} is none")
        if task.runner in self._bundles:
            return
        with reporter.stage(f"get the {self._runtime or task.runner} runner for this machine"):
            self._bundles[task.runner] = build_legacy_tflite() if self._runtime else self._native(task.runner)
        if self._bundles[task.runner] is None:
            reporter.note(f"the native runner cannot be built here, so Python's binding measures: {self._why_not}")

    def run(self, task: Task, plan: RunOptions, reporter: Reporter) -> RunOutput:
        """In the native runner, or through the runtime's Python binding."""
        self.prepare(task, reporter)
        bundle = self._bundles[task.runner]
        return self._run_python(task, plan) if bundle is None else self._run_native(bundle, task, plan, reporter)

    def profile(self, task: Task, plan: RunOptions, reporter: Reporter) -> Profile:
        """From the native runner; Python's bindings and the old runtime tell none."""
        self.prepare(task, reporter)
        bundle = self._bundles[task.runner]
        if bundle is None:
            return Profile(not_available="the runtime's Python binding tells no profile")
        if bundle.runtime == LEGACY_RUNTIME:
            return Profile(not_available=f"{LEGACY_RUNTIME} tells no profile")
        request = profile_request(plan, self._conditions.mask)
        options = HostRunOptions(want_outputs=False)
        return profile_of(run_native(bundle, task.path, task.inputs[:1], request, options=options).answer)

    def _native(self, runner: str) -> Bundle | None:
        try:
            return build_bundle(runner, HOST_ABI)
        except RunnerFailed as error:
            self._why_not = error.message
            return None

    def _run_native(self, bundle: Bundle, task: Task, plan: RunOptions, reporter: Reporter) -> RunOutput:
        before_steps = len(self._conditions.steps)
        state_before = self._conditions.before_row(reporter.note)
        old = bundle.runtime == LEGACY_RUNTIME
        request = RunRequest(
            plan.threads, plan.warmup_runs, plan.num_runs, plan.min_secs, plan.max_secs,
            cpu_mask=None if old else self._conditions.mask,
        )  # fmt: skip

        def once(wanted: RunRequest) -> Attempt:
            began = time.time()
            ran = run_native(bundle, task.path, task.inputs, wanted)
            return Attempt(ran.answer, ran.outputs, began, [])

        done = collect(once, request, self._cores)
        answer = done.first.answer
        notes = ["measured in Python: tflite-runtime has no library of its own"] if old else []
        return RunOutput(
            outputs=done.first.outputs,
            samples_ns=done.samples_ns,
            load_ns=answer.load_ns,
            first_inference_ns=answer.first_inference_ns,
            peak_rss_bytes=answer.peak_rss_bytes,
            runner=bundle.runtime,
            runtime_version=answer.runtime_version or bundle.version,
            harness="python" if old else "native",
            cpu_mask=request.cpu_mask,
            conditions=steps_record(self._conditions, before_steps),
            slowed=done.slowed,
            state_before=state_record(state_before),
            state_after=state_record(read_state(self._conditions.device)),
            notes=(*notes, *done.notes()),
        )

    def _run_python(self, task: Task, plan: RunOptions) -> RunOutput:
        ran = local.run_locally(task.runner, task.path, task.inputs, plan)
        notes = [f"measured through the runtime's Python binding: {self._why_not}", *([ran.note] if ran.note else [])]
        return RunOutput(
            outputs=ran.outputs,
            samples_ns=ran.samples_ns,
            load_ns=ran.load_ns,
            first_inference_ns=ran.first_inference_ns,
            peak_rss_bytes=ran.peak_rss_bytes,
            runner=task.runner,
            runtime_version=ran.runtime_version,
            harness="python",
            notes=tuple(notes),
        )
