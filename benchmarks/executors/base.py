"""What executors have in common: the workload, how long it runs, what comes back, and the Executor protocol.

An executor is where artifacts run: this machine, a device, an emulated Arm CPU. All give the same RunOutput.

    with open_executor("adb:pixel7", ExecutorOptions(conditions=MeasurementConditions(cores="big"))) as executor:
        executor.prepare(workload, reporter)            # builds and pushes what is missing
        output = executor.run(workload, RunOptions(num_runs=100), reporter)

host.py      the native runner as a child process, or the runtimes' Python bindings where it cannot be built
device.py    the native runner on a phone or a board
qemu.py      the executed instructions of one inference
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgedeploy.android_harness.protocol import RunnerAnswer, RunRequest
from edgedeploy.benchmarks.conditions import MeasurementConditions
from edgedeploy.benchmarks.conditions.samples import REPEATS, Collected
from edgedeploy.core.device import ConditionLogEntry, DeviceInfo, DeviceState
from edgedeploy.core.measurement import InstructionCount, InstructionProfile, LaunchFigures, Profile
from edgedeploy.core.parity import Array
from edgedeploy.core.provenance import OperatorFact
from edgedeploy.core.reporter import Reporter

if TYPE_CHECKING:
    from edgedeploy.benchmarks.recording.recorder import Recorder

LEGACY_RUNTIME = "tflite-runtime"
PROFILE_RUNS = 20  # the mean of an operator settles soon


@dataclass(frozen=True)
class Workload:
    """What is run.

    Attributes:
        name: as messages have it.
        runtime: "onnxruntime", "executorch", "litert".
        path, sha256: the file.
        inputs: sets of inputs as the file takes them; the first is measured, all give outputs.
        macs: multiply-accumulates of one inference, where they are known.
        int8: whether they are done in int8.
        operators: of the file, in its order; empty where they are not needed or not known.
    """

    name: str
    runtime: str
    path: Path
    sha256: str
    inputs: Sequence[Sequence[Array]]
    macs: int | None = None
    int8: bool = False
    operators: tuple[OperatorFact, ...] = ()


@dataclass(frozen=True)
class RunOptions:
    """How long to measure. The names are those of TFLite's benchmark_model.

    Attributes:
        threads: of the runtime's pool.
        warmup_runs: inferences before the first counted one.
        num_runs: least number of counted inferences of a launch; 0 runs the inputs once and measures nothing.
        min_secs, max_secs: measure at least and at most this long in a launch.
        launches: how often the runner is started.
        keep_throttled: keep samples that were taken under throttling; else they are taken again.
    """

    threads: int = 1
    warmup_runs: int = 3
    num_runs: int = 50
    min_secs: float = 1.0
    max_secs: float = 150.0
    launches: int = 1
    keep_throttled: bool = False


@dataclass(frozen=True)
class RunOutput:
    """The result of a run. All fields but `outputs` are those of `core.measurement.Measurement`.

    Attributes:
        outputs: for each set of inputs, the file's outputs.
    """

    outputs: list[list[Array]]
    runtime: str
    runtime_version: str
    samples_ns: tuple[int, ...] = ()
    sample_launches: tuple[int, ...] = ()
    load_ns: int | None = None
    first_inference_ns: int | None = None
    peak_rss_bytes: int | None = None
    launches: tuple[LaunchFigures, ...] = ()
    harness: str = "native"
    instructions: InstructionCount | None = None
    cpu_mask: int | None = None
    condition_log: tuple[ConditionLogEntry, ...] = ()
    throttled_samples: tuple[int, ...] | None = None
    slowed_samples: tuple[int, ...] | None = None
    discarded_ns: tuple[int, ...] = ()
    interruptions: int = 0
    state_before: DeviceState | None = None
    state_during: tuple[DeviceState, ...] = ()
    state_after: DeviceState | None = None
    notes: tuple[str, ...] = ()


class Executor(Protocol):
    """Where artifacts run.

    Attributes:
        is_host: its outputs are this machine's own.
    """

    info: DeviceInfo
    is_host: bool

    @property
    def restored(self) -> tuple[ConditionLogEntry, ...]:
        """After the executor was closed: the conditions that were restored, or could not be and why."""

    def prepare(self, workload: Workload, reporter: Reporter) -> None:
        """Brings the runner and the file to where they run; what is there already costs nothing."""

    def run(self, workload: Workload, options: RunOptions, reporter: Reporter) -> RunOutput:
        """Runs a prepared workload. Raises RunnerFailed, or a DeviceError."""

    def profile(self, workload: Workload, options: RunOptions, reporter: Reporter) -> Profile | InstructionProfile:
        """Profiles a prepared workload, in a run that gives no latency. Raises as `run`."""


@dataclass(frozen=True)
class ExecutorOptions:
    """What is asked of an executor beside the device's name.

    Attributes:
        conditions: the measurement conditions.
        runtime: "tflite-runtime" for the legacy TFLite runtime; None for the one that the artifact names.
        recorder: keeps the dialogue with the device; None keeps nothing.
    """

    conditions: MeasurementConditions = field(default_factory=MeasurementConditions)
    runtime: str | None = None
    recorder: Recorder | None = None


def run_request(options: RunOptions, cpu_mask: int | None) -> RunRequest:
    """What the runner is asked for a measurement."""
    return RunRequest(
        options.threads,
        options.warmup_runs,
        options.num_runs,
        options.min_secs,
        options.max_secs,
        cpu_mask=cpu_mask,
    )


def repeats_of(options: RunOptions) -> int:
    """How many more launches may take throttled samples again."""
    return 0 if options.keep_throttled else REPEATS


def profile_request(options: RunOptions, cpu_mask: int | None) -> RunRequest:
    """What the runner is asked for a profile: as few runs as it needs, under the conditions of the measurement."""
    runs = min(options.num_runs, PROFILE_RUNS)
    return RunRequest(
        options.threads, options.warmup_runs, runs, 0.0, options.max_secs, profile=True, cpu_mask=cpu_mask
    )


def profile_from_answer(answer: RunnerAnswer) -> Profile:
    """The profile in a runner's answer to `profile_request`."""
    return Profile(runs=len(answer.runs), operators=answer.operators or ())


def output_from_samples(collected: Collected, runtime: str, bundle_version: str) -> RunOutput:
    """What the native runner measured; the executor adds the conditions and states."""
    first, launches = collected.first, collected.launches
    return RunOutput(
        outputs=first.outputs,
        runtime=runtime,
        runtime_version=first.answer.runtime_version or bundle_version,
        samples_ns=collected.samples_ns,
        sample_launches=collected.sample_launches,
        load_ns=middle([launch.load_ns for launch in launches]),
        first_inference_ns=middle([launch.first_inference_ns for launch in launches]),
        peak_rss_bytes=max((launch.peak_rss_bytes for launch in launches if launch.peak_rss_bytes), default=None),
        launches=launches,
        throttled_samples=collected.throttled_samples,
        slowed_samples=collected.slowed_samples,
        discarded_ns=collected.discarded_ns,
        notes=tuple(collected.notes()),
    )


def merged(outputs: Sequence[RunOutput]) -> RunOutput:
    """The runs of one workload, such as those of several blocks, as one run of as many launches."""
    first, last = outputs[0], outputs[-1]
    starts = [sum(len(output.samples_ns) for output in outputs[:index]) for index in range(len(outputs))]
    counts = [len(set(output.sample_launches)) for output in outputs]

    def moved(marks: Sequence[tuple[int, ...] | None]) -> tuple[int, ...] | None:
        if all(found is None for found in marks):
            return None
        return tuple(start + index for start, found in zip(starts, marks, strict=True) for index in found or ())

    return replace(
        first,
        samples_ns=tuple(ns for output in outputs for ns in output.samples_ns),
        sample_launches=tuple(
            sum(counts[:index]) + launch for index, output in enumerate(outputs) for launch in output.sample_launches
        ),
        load_ns=middle([output.load_ns for output in outputs]),
        first_inference_ns=middle([output.first_inference_ns for output in outputs]),
        peak_rss_bytes=max((output.peak_rss_bytes for output in outputs if output.peak_rss_bytes), default=None),
        launches=tuple(launch for output in outputs for launch in output.launches),
        throttled_samples=moved([output.throttled_samples for output in outputs]),
        slowed_samples=moved([output.slowed_samples for output in outputs]),
        discarded_ns=tuple(ns for output in outputs for ns in output.discarded_ns),
        interruptions=sum(output.interruptions for output in outputs),
        state_during=tuple(state for output in outputs for state in output.state_during),
        state_after=last.state_after,
        notes=tuple(dict.fromkeys(note for output in outputs for note in output.notes)),
    )


def middle(figures: Sequence[int | None]) -> int | None:
    """The median of the launches' figures, the lower of two; None where none was reported."""
    known = sorted(figure for figure in figures if figure is not None)
    return known[(len(known) - 1) // 2] if known else None
