"""The executor for this machine: the native runner as a child process, the same program and loop as on a phone.

Where the runner cannot be built (no compiler, no CMake) the runtimes' Python bindings measure instead, and the result has a
note. The legacy TFLite runtime, tflite-runtime 2.14.0, runs here too, in an environment of its own.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace

from edgedeploy.android_harness.bundles import Bundle, build_bundle
from edgedeploy.android_harness.host_runner import HostRunOptions, run_on_host
from edgedeploy.android_harness.legacy_tflite.environment import build_legacy_tflite
from edgedeploy.android_harness.protocol import RunRequest
from edgedeploy.android_harness.toolchain import HOST_ABI
from edgedeploy.benchmarks.conditions.samples import Attempt, collect
from edgedeploy.benchmarks.conditions.session import Conditions, apply_conditions
from edgedeploy.benchmarks.devices import DeviceName, as_host, open_device
from edgedeploy.core.device import ConditionLogEntry, DeviceInfo
from edgedeploy.core.errors import RunnerFailed, UsageError
from edgedeploy.core.measurement import LaunchFigures, Profile
from edgedeploy.core.reporter import Reporter

from .base import (
    LEGACY_RUNTIME,
    ExecutorOptions,
    RunOptions,
    RunOutput,
    Workload,
    middle,
    output_from_samples,
    profile_from_answer,
    profile_request,
    repeats_of,
    run_request,
)
from .python_process import run_in_python


@contextlib.contextmanager
def open_host_executor(options: ExecutorOptions) -> Iterator[HostExecutor]:
    """Opens this machine, under the conditions asked for."""
    device = open_device(DeviceName("local"))
    reported = device.describe()
    with apply_conditions(device, reported, options.conditions) as conditions:
        yield HostExecutor(as_host(reported), conditions, options.runtime)


class HostExecutor:
    """See the module's docstring; made by `open_host_executor`."""

    is_host = True

    def __init__(self, info: DeviceInfo, conditions: Conditions, runtime: str | None = None) -> None:
        self.info, self._conditions, self._runtime = info, conditions, runtime
        self._bundles: dict[str, Bundle | None] = {}
        self._why_not_native = ""

    @property
    def restored(self) -> tuple[ConditionLogEntry, ...]:
        """What was restored on this machine when the executor was closed."""
        return self._conditions.restored

    def prepare(self, workload: Workload, reporter: Reporter) -> None:
        """Builds the runner, the first time. Where that cannot be done, reports it."""
        if self._runtime == LEGACY_RUNTIME and workload.runtime != "litert":
            raise UsageError(f"{LEGACY_RUNTIME} runs tflite-* artifacts only, and {workload.name} is none")
        if workload.runtime in self._bundles:
            return
        with reporter.stage(f"get the {self._runtime or workload.runtime} runner for this machine"):
            self._bundles[workload.runtime] = build_legacy_tflite() if self._runtime else self._native(workload.runtime)
        if self._bundles[workload.runtime] is None:
            reporter.note(f"the native runner cannot be built, so Python's binding measures: {self._why_not_native}")

    def run(self, workload: Workload, options: RunOptions, reporter: Reporter) -> RunOutput:
        """Runs in the native runner, or through the runtime's Python binding."""
        self.prepare(workload, reporter)
        bundle = self._bundles[workload.runtime]
        if bundle is None:
            return self._run_in_python(workload, options)
        return self._run_native(bundle, workload, options, reporter)

    def profile(self, workload: Workload, options: RunOptions, reporter: Reporter) -> Profile:
        """From the native runner; Python's bindings and the legacy TFLite runtime have none."""
        self.prepare(workload, reporter)
        bundle = self._bundles[workload.runtime]
        if bundle is None:
            return Profile(not_available="the runtime's Python binding has no profile")
        if bundle.runtime == LEGACY_RUNTIME:
            return Profile(not_available=f"{LEGACY_RUNTIME} has no profile")
        request = profile_request(options, self._conditions.mask)
        ran = run_on_host(
            bundle, workload.path, workload.inputs[:1], request, options=HostRunOptions(want_outputs=False)
        )
        return profile_from_answer(ran.answer)

    def _native(self, runtime: str) -> Bundle | None:
        try:
            return build_bundle(runtime, HOST_ABI)
        except RunnerFailed as error:
            self._why_not_native = error.message
            return None

    def _run_native(self, bundle: Bundle, workload: Workload, options: RunOptions, reporter: Reporter) -> RunOutput:
        conditions = self._conditions
        conditions.begin_row()
        state_before = conditions.before_run(reporter.note)
        legacy = bundle.runtime == LEGACY_RUNTIME
        request = run_request(options, None if legacy else conditions.mask)

        def attempt(wanted: RunRequest) -> Attempt:
            began_s = time.time()
            ran = run_on_host(bundle, workload.path, workload.inputs, wanted)
            return Attempt(ran.answer, ran.outputs, began_s, [])

        collected = collect(attempt, request, self.info.cores, options.launches, repeats_of(options))
        output = output_from_samples(collected, bundle.runtime, bundle.version)
        return replace(
            output,
            harness="python" if legacy else "native",
            cpu_mask=request.cpu_mask,
            condition_log=conditions.log,
            state_before=state_before,
            state_after=conditions.device.read_state(),
            notes=("measured in Python: tflite-runtime has no library of its own", *output.notes)
            if legacy
            else output.notes,
        )

    def _run_in_python(self, workload: Workload, options: RunOptions) -> RunOutput:
        launches = [
            run_in_python(workload.runtime, workload.path, workload.inputs, options) for _ in range(options.launches)
        ]
        first = launches[0]
        why = f"measured through the runtime's Python binding: {self._why_not_native}"
        return RunOutput(
            outputs=first.outputs,
            runtime=workload.runtime,
            runtime_version=first.runtime_version,
            samples_ns=tuple(ns for ran in launches for ns in ran.samples_ns),
            sample_launches=tuple(number for number, ran in enumerate(launches) for _ in ran.samples_ns),
            load_ns=middle([ran.load_ns for ran in launches]),
            first_inference_ns=middle([ran.first_inference_ns for ran in launches]),
            peak_rss_bytes=max(ran.peak_rss_bytes for ran in launches),
            launches=tuple(LaunchFigures(ran.load_ns, ran.first_inference_ns, ran.peak_rss_bytes) for ran in launches),
            harness="python",
            notes=(why, first.note) if first.note else (why,),
        )
