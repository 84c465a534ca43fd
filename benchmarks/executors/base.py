"""A place is where artifacts are measured: this machine, a device, an emulated Arm CPU. All give the same plain result.

with open_executor("adb:pixel7", ExecutorOptions(hygiene=MeasurementConditions(cores="big"))) as place:
    place.prepare(task, reporter)            # builds and pushes what is not there yet
    ran = place.run(task, plan, reporter)

on_this_machine.py   the native runner as a child, or the runtimes' Python bindings where it cannot be built
on_device.py         the native runner on a phone or a board, through the six verbs
on_qemu.py           instructions of one inference
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from edgedeploy.android_harness.protocol import RunnerAnswer, RunRequest
from edgedeploy.benchmarks.conditions.session import Conditions, MeasurementConditions, Step
from edgedeploy.benchmarks.devices import base, parse_device, read_aliases
from edgedeploy.benchmarks.devices.base import DeviceState
from edgedeploy.core.errors import UsageError
from edgedeploy.core.measurement import DeviceInfo, InstructionCount, Profile
from edgedeploy.core.parity import Array

from .python_process import RunOptions

LEGACY_RUNTIME = "tflite-runtime"
Steps = tuple[tuple[str, str], ...]  # (what, how it went)
PROFILE_RUNS = 20  # the mean of an operator settles soon, and every run of a profile is one that measures nothing


class Reporter(Protocol):
    """Who hears of the progress; `edgedeploy.reporter.Reporter` is one."""

    def stage(self, text: str) -> contextlib.AbstractContextManager[None]:
        """A piece of work that may take seconds."""

    def advance(self, done: int, total: int) -> None:
        """How far the current stage is."""

    def note(self, text: str) -> None:
        """Something that the reader should know."""


@dataclass(frozen=True)
class Task:
    """What is run.

    Attributes:
        name: as messages have it.
        runner: the runtime: "onnxruntime", "executorch", "litert".
        path, sha256: the file.
        inputs: sets of inputs as the file takes them; the first is measured, all give outputs.
        macs: multiply-accumulates of one inference, where they are known.
        int8: whether they are done in int8.
    """

    name: str
    runner: str
    path: Path
    sha256: str
    inputs: Sequence[Sequence[Array]]
    macs: int | None = None
    int8: bool = False


@dataclass(frozen=True)
class RunOutput:
    """What a run gave; the names are those of Measurement.

    Attributes:
        outputs: for each set of inputs, the file's outputs.
    """

    outputs: list[list[Array]]
    samples_ns: list[int]
    load_ns: int | None
    first_inference_ns: int | None
    peak_rss_bytes: int | None
    runner: str
    runtime_version: str
    harness: str = "native"
    instructions: InstructionCount | None = None
    cpu_mask: int | None = None
    conditions: Steps = ()
    throttled: list[int] | None = None
    slowed: list[int] | None = None
    discarded_ns: list[int] = field(default_factory=list)
    interruptions: int = 0
    state_before: Mapping[str, Any] = field(default_factory=dict)
    state_during: tuple[Mapping[str, Any], ...] = ()
    state_after: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Executor(Protocol):
    """Where artifacts are measured.

    Attributes:
        is_host: its outputs are this machine's own.
    """

    info: DeviceInfo
    is_host: bool

    @property
    def restored(self) -> Steps:
        """Once the place was left: what was undone there, or could not be and why."""

    def prepare(self, task: Task, reporter: Reporter) -> None:
        """Brings what the task needs to where it is needed; what is there already costs nothing."""

    def run(self, task: Task, plan: RunOptions, reporter: Reporter) -> RunOutput:
        """Runs a prepared task. Raises RunnerFailed, or a DeviceError."""

    def profile(self, task: Task, plan: RunOptions, reporter: Reporter) -> Profile:
        """Where a prepared task's time goes, in a run that gives no latency. Raises as `run`."""


@dataclass(frozen=True)
class ExecutorOptions:
    """What is asked of a place beside its name.

    Attributes:
        hygiene: fair conditions.
        runtime: "tflite-runtime" for the old one; None for the one that the artifact names.
    """

    hygiene: MeasurementConditions = field(default_factory=MeasurementConditions)
    runtime: str | None = None


def profile_request(plan: RunOptions, cpu_mask: int | None) -> RunRequest:
    """A profiled run as short as a profile needs, under the row's own conditions."""
    runs = min(plan.num_runs, PROFILE_RUNS)
    return RunRequest(plan.threads, plan.warmup_runs, runs, 0.0, plan.max_secs, profile=True, cpu_mask=cpu_mask)


def profile_of(answer: RunnerAnswer) -> Profile:
    """The profile in a runner's answer to `profile_request`."""
    return Profile(runs=len(answer.runs), operators=answer.operators or ())


@contextlib.contextmanager
def open_executor(text: str, options: ExecutorOptions | None = None) -> Iterator[Executor]:
    """The place that a person means by `text`, held while the block runs.

    Raises UnknownName, UsageError, NoDevice, DeviceBusy.
    """
    options = options or ExecutorOptions()
    name = parse_device(text, read_aliases())
    if options.runtime not in (None, LEGACY_RUNTIME):
        raise UsageError(f"--runtime {options.runtime}: the choice is {LEGACY_RUNTIME}, or none for the artifact's own")
    if options.runtime and name.kind != "local":
        raise UsageError(f"{LEGACY_RUNTIME} is a Python package and runs on this machine only", hint="--device local")
    if name.kind == "local":
        from .host import open_host_executor

        with open_host_executor(options) as place:
            yield place
    elif name.kind == "qemu":
        from .qemu import QemuExecutor

        if options.hygiene != MeasurementConditions():
            raise UsageError(
                "an emulated CPU has no cores to choose and no temperature", hint="leave these options out"
            )
        yield QemuExecutor(name.name)
    else:
        from .device import open_device_executor

        with open_device_executor(text, options) as place:
            yield place


def state_record(state: DeviceState | None) -> dict[str, Any]:
    """A state as a Measurement has it; what the device does not tell is null."""
    return asdict(state) if state is not None else {}


def steps_record(conditions: Conditions, since: int) -> Steps:
    """What was done for all rows, and what was done for this one: the steps after the first `since`."""
    whole = [step for step in conditions.steps[:since] if step.name != "start temperature"]
    return as_pairs((*whole, *conditions.steps[since:]))


def as_pairs(steps: Iterable[Step]) -> Steps:
    """Steps as a Measurement has them."""
    return tuple((step.name, step.outcome) for step in steps)


def info_record(kind: str, name: str, info: base.DeviceInfo) -> DeviceInfo:
    """What a device says of itself, as a Measurement has it."""
    api = f" (API {info.api_level})" if info.api_level is not None else ""
    model = info.model or ""
    if info.manufacturer and not model.lower().startswith(info.manufacturer.lower()):
        model = f"{info.manufacturer} {model}".strip()
    return DeviceInfo(
        kind=kind,
        name=name,
        serial=info.serial or "",
        model=model,
        abi=info.abis[0] if info.abis else "",
        os=f"{info.system or ''}{api}",
        cores=len(info.cores) or None,
        soc=info.soc or "",
        build=info.build or "",
        kernel=info.kernel or "",
        memory_bytes=info.memory_bytes,
        core_khz=tuple(core.max_khz for core in info.cores),
        emulated=info.emulated,
    )
