"""bench: artifacts in, Measurements out. Imports no torch."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from edgedeploy.core.artifact import MANIFEST, Artifact, find_artifacts
from edgedeploy.core.device import ConditionLogEntry
from edgedeploy.core.errors import (
    DeviceBusy,
    DeviceLost,
    DeviceTooHot,
    EdgedeployError,
    NoDevice,
    NotTrustworthy,
    RunnerFailed,
    UnknownName,
    UsageError,
)
from edgedeploy.core.measurement import InstructionProfile, Measurement, Profile, ResultFile
from edgedeploy.core.parity import worst
from edgedeploy.core.reporter import NullReporter, Reporter
from edgedeploy.core.storage.files import is_replaceable, write_atomically

from .bounds import MAX_RUNS, MAX_SECS, MAX_THREADS, check_bounds
from .verification import HostReference, parity_of, workload_of

if TYPE_CHECKING:
    from edgedeploy.benchmarks.executors import Executor, ExecutorOptions, RunOptions

ARTIFACTS = Path("artifacts")
ENDS_THE_BENCH = (DeviceLost, NoDevice, DeviceBusy, DeviceTooHot)  # the next artifact would meet the same

OnRow = Callable[[int, Measurement], object]  # the row's index, and the row whenever it is new or completed


@dataclass(frozen=True)
class BenchOptions:
    """How artifacts are measured. The names are those of TFLite's benchmark_model where it has one.

    Attributes:
        device: "local", "adb:NAME", "ssh:user@host", an alias, or "qemu[:CPU]", which counts instructions.
        threads: each artifact is measured with each of these numbers.
        warmup_runs: inferences before the first counted one.
        num_runs, min_secs: in each launch at least this many counted inferences, for at least this long.
        max_secs: in each launch at most this long.
        launches: how often the runner is started for each row: two processes differ more than two inferences of one.
        cores: "big", "little", "all" or a hexadecimal mask.
        max_start_temp: in °C; waits before each row until the processor is cooler.
        cooldown: pause before each launch but the first, in seconds.
        runtime: "tflite-runtime" for the legacy runtime 2.14 on this machine; None for the artifact's own.
        profile: run each row once more, for the time (on qemu: the instructions) of each operator.
        require_trust: raise NotTrustworthy at the end if a row is not trustworthy.
        json_file: written anew after every row, so that a failure loses none.
    """

    device: str = "local"
    threads: Sequence[int] = (1,)
    warmup_runs: int = 3
    num_runs: int = 50
    min_secs: float = 1.0
    max_secs: float = 150.0
    launches: int = 3
    cores: str = "all"
    max_start_temp: float | None = None
    cooldown: float = 0.0
    runtime: str | None = None
    profile: bool = False
    require_trust: bool = False
    json_file: str | Path | None = None

    def __post_init__(self) -> None:
        if not self.threads or any(count < 1 for count in self.threads):
            raise UsageError("--threads takes whole numbers from 1", hint="--threads 1,2,4")
        if self.num_runs < 1 or self.warmup_runs < 0 or self.min_secs < 0 or self.max_secs <= 0:
            raise UsageError("--num-runs must be at least 1, and times must not be negative")
        if self.launches < 1:
            raise UsageError("--launches must be at least 1")
        if self.min_secs > self.max_secs:
            raise UsageError(f"--min-secs {self.min_secs:g} is more than --max-secs {self.max_secs:g}")
        if self.cooldown < 0:
            raise UsageError("--cooldown must not be negative")
        for count in self.threads:
            check_bounds("--threads", count, 1, MAX_THREADS)
        check_bounds("--warmup-runs", self.warmup_runs, 0, MAX_RUNS)
        check_bounds("--num-runs", self.num_runs, 1, MAX_RUNS)
        for option, secs in (("min-secs", self.min_secs), ("max-secs", self.max_secs), ("cooldown", self.cooldown)):
            check_bounds(f"--{option}", secs, 0, MAX_SECS)
        if self.max_start_temp is not None:
            check_bounds("--max-start-temp", self.max_start_temp, -50, 150)

    def run_options(self, threads: int) -> RunOptions:
        """How one row is run."""
        from edgedeploy.benchmarks.executors import RunOptions

        return RunOptions(threads, self.warmup_runs, self.num_runs, self.min_secs, self.max_secs, self.launches)

    def executor_options(self) -> ExecutorOptions:
        """Under which conditions, and in which runtime."""
        from edgedeploy.benchmarks.conditions import MeasurementConditions
        from edgedeploy.benchmarks.executors import ExecutorOptions

        conditions = MeasurementConditions(
            cores=self.cores, max_start_temperature_c=self.max_start_temp, cooldown_s=self.cooldown
        )
        return ExecutorOptions(conditions, self.runtime)


class BenchKeywords(TypedDict, total=False):
    """The fields of BenchOptions as keyword arguments."""

    device: str
    threads: Sequence[int]
    warmup_runs: int
    num_runs: int
    min_secs: float
    max_secs: float
    launches: int
    cores: str
    max_start_temp: float | None
    cooldown: float
    runtime: str | None
    profile: bool
    require_trust: bool
    json_file: str | Path | None


def bench(
    artifacts: str | Path | Artifact | Iterable[str | Path | Artifact] = (),
    *,
    reporter: Reporter | None = None,
    on_row: OnRow | None = None,
    **options: Unpack[BenchKeywords],
) -> list[Measurement]:
    """Measures artifacts in their real runtime, each in a process of its own, and verifies their outputs on the way.

    Args:
        artifacts: folders, manifests, files, or model names below ./artifacts; none means all that are there.
        reporter: receives the progress.
        on_row: called whenever a row is new or completed; after an error the rows are known from here.
        options: the fields of BenchOptions.

    Raises UsageError, a DeviceError, or RunnerFailed after the last artifact where some were not measured; its `completed`
    has the measurements of the others.
    """
    chosen = BenchOptions(**options)
    reporter = reporter or NullReporter()
    failures: list[str] = []
    found = _loaded(find_named(artifacts), failures, reporter)
    found = _for_runtime(found, chosen.runtime, reporter)
    rows = Rows(chosen.json_file, on_row)
    with _open(chosen, rows) as executor, HostReference(reporter) as host:
        for artifact in found:
            for threads in _threads_of(executor, chosen.threads, reporter):
                run_options = chosen.run_options(threads)
                try:
                    rows.add(measure(artifact, executor, run_options, host, reporter))
                    if chosen.profile:
                        rows.add_profile(profile_of(artifact, executor, run_options, reporter))
                except ENDS_THE_BENCH:
                    raise
                except EdgedeployError as error:
                    reporter.note(f"{artifact} was not measured: {error.message}")
                    failures += str(error).splitlines()
    if failures:
        raise RunnerFailed("not everything was measured", details=failures).with_completed(rows.measurements)
    if chosen.require_trust:
        check_trust(rows.measurements)
    return rows.measurements


def _loaded(named: Sequence[Path | Artifact], failures: list[str], reporter: Reporter) -> list[Artifact]:
    """The artifacts that can be read; what is wrong with the others, where there are several, is added to `failures`."""
    found: list[Artifact] = []
    for item in named:
        try:
            found.append(item if isinstance(item, Artifact) else Artifact.load(item))
        except EdgedeployError as error:
            if len(named) == 1:
                raise
            reporter.note(f"{item} was not measured: {error.message}")
            failures += str(error).splitlines()
    if not found:
        raise RunnerFailed("none of the artifacts can be read", details=failures)
    return found


def check_trust(rows: Iterable[Measurement]) -> None:
    """Raises NotTrustworthy where a row is not trustworthy, with the reasons and what to do."""
    doubted = [row for row in rows if row.verdict is not None and not row.verdict.trustworthy]
    if doubted:
        advice = dict.fromkeys(doubt.advice for row in doubted if row.verdict for doubt in row.verdict.doubts)
        raise NotTrustworthy(
            f"{len(doubted)} of the rows {'is' if len(doubted) == 1 else 'are'} not trustworthy",
            details=[f"{row}: {doubt.reason}" for row in doubted if row.verdict for doubt in row.verdict.doubts],
            hint="; ".join(advice),
        )


class Rows:
    """The measurements so far. Each change is written to the result file at once.

    What cannot be written anew, a pipe or a device, gets one text at the end (`close`).
    """

    def __init__(self, json_file: str | Path | None, on_row: OnRow | None) -> None:
        self.measurements: list[Measurement] = []
        self._json_file, self._on_row = json_file, on_row

    def add(self, measurement: Measurement) -> None:
        """Keeps one more."""
        self.measurements.append(measurement)
        self._changed(len(self.measurements) - 1)
        self._save()

    def add_profile(self, profile: Profile | InstructionProfile) -> None:
        """Completes the last one with its profile."""
        row = self.measurements[-1]
        if isinstance(profile, InstructionProfile):
            self.measurements[-1] = replace(row, instruction_profile=profile)
        else:
            self.measurements[-1] = replace(row, profile=profile)
        self._changed(len(self.measurements) - 1)
        self._save()

    def add_restored(self, restored: Sequence[ConditionLogEntry]) -> None:
        """Completes every row with what was restored on the device when it was left."""
        for index, row in enumerate(self.measurements):
            self.measurements[index] = replace(row, condition_log=(*row.condition_log, *restored))
            self._changed(index)
        self._save()

    def _changed(self, index: int) -> None:
        if self._on_row:
            self._on_row(index, self.measurements[index])

    def close(self) -> None:
        """Writes what was held back."""
        if self._json_file and not is_replaceable(Path(self._json_file)) and self.measurements:
            self._write(Path(self._json_file))

    def _save(self) -> None:
        if self._json_file and is_replaceable(Path(self._json_file)):
            self._write(Path(self._json_file))

    def _write(self, path: Path) -> None:
        write_atomically(path, ResultFile.of(self.measurements).to_json())


@contextlib.contextmanager
def _open(options: BenchOptions, rows: Rows) -> Iterator[Executor]:
    """The executor; when it is left, however that happens, the rows are completed with what was restored there."""
    from edgedeploy.benchmarks.executors import open_executor

    executor: Executor | None = None
    try:
        with open_executor(options.device, options.executor_options()) as executor:
            yield executor
    finally:
        if executor is not None and executor.restored and rows.measurements:
            rows.add_restored(executor.restored)
        rows.close()


def measure(
    artifact: Artifact, executor: Executor, options: RunOptions, host: HostReference, reporter: Reporter
) -> Measurement:
    """Measures one artifact with one number of threads. Raises RunnerFailed, ArtifactInvalid or a DeviceError."""
    from edgedeploy.benchmarks.statistics import assess

    manifest, golden = artifact.manifest, artifact.golden()
    workload = workload_of(artifact, golden)
    executor.prepare(workload, reporter)
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with reporter.stage(f"measure {artifact} with {options.threads} thread{'s' if options.threads > 1 else ''}"):
        output = executor.run(workload, options, reporter)
    parity = parity_of(golden, output.outputs, manifest.outputs) if golden else ()
    agreement = None if executor.is_host else host.agreement(workload, manifest.outputs, output.outputs)
    notes = [*output.notes]
    if executor.info.emulated and output.instructions is None:
        notes.append("an emulator: its times mean nothing and are not shown; --device qemu counts instructions")
    if manifest.provenance.weights.kind == "random":
        cost = "instructions are" if output.instructions else "latency is"
        notes.append(f"random weights: {cost} real, accuracy means nothing")
    measured = {field.name: getattr(output, field.name) for field in fields(output)}
    del measured["outputs"]
    row = Measurement(
        model=manifest.model,
        target=manifest.target,
        artifact=str(artifact.folder),
        artifact_sha256=manifest.sha256,
        size_bytes=manifest.size_bytes,
        device=executor.info,
        threads=options.threads,
        latency_ns=None,
        parity=worst(parity),
        host_agreement=worst(agreement or ()),
        started_at=started,
        input_shapes=tuple(spec.shape for spec in manifest.inputs),
        rewrites={found.rewrite: found.applied for found in manifest.provenance.rewrites},
        made_with=manifest.provenance.versions,
        **{**measured, "notes": tuple(notes)},
    )
    return assess(row)


def profile_of(
    artifact: Artifact, executor: Executor, options: RunOptions, reporter: Reporter
) -> Profile | InstructionProfile:
    """The profile of a measured artifact. A runner that fails while profiling costs the profile, not the row."""
    workload = replace(workload_of(artifact, artifact.golden()), operators=artifact.operators())
    with reporter.stage(f"profile {artifact}"):
        try:
            return executor.profile(workload, options, reporter)
        except RunnerFailed as error:
            return Profile(not_available=error.message)


def _for_runtime(artifacts: list[Artifact], runtime: str | None, reporter: Reporter) -> list[Artifact]:
    """The artifacts that the legacy runtime can run, if it was asked for."""
    if runtime is None:
        return artifacts
    fitting = [artifact for artifact in artifacts if artifact.manifest.runtime == "litert"]
    if not fitting:
        raise UsageError(f"none of these is a tflite artifact, which is what {runtime} runs")
    if len(fitting) < len(artifacts):
        reporter.note(f"{len(artifacts) - len(fitting)} artifacts are left out: {runtime} runs tflite-* only")
    return fitting


def _threads_of(executor: Executor, threads: Sequence[int], reporter: Reporter) -> Sequence[int]:
    """Instructions are counted on one thread: how work is shared out does not change the work."""
    if executor.info.kind != "qemu":
        return threads
    if tuple(threads) != (1,):
        reporter.note("instructions are counted on one thread")
    return (1,)


def find_named(artifacts: str | Path | Artifact | Iterable[str | Path | Artifact]) -> list[Path | Artifact]:
    """Folders of the named artifacts; a bare model name means all its targets below ./artifacts, no name all artifacts.

    Raises UnknownName, UsageError.
    """
    named = [artifacts] if isinstance(artifacts, str | Path | Artifact) else list(artifacts)
    if not named:
        found: list[Path | Artifact] = [*find_artifacts(ARTIFACTS)] if ARTIFACTS.is_dir() else []
        if not found:
            raise UsageError(
                f"there is nothing to measure: no artifact below {ARTIFACTS.resolve()}",
                hint="edgedeploy export topformer-tiny --target tflite-int8",
            )
        return found
    return [path for item in named for path in ([item] if isinstance(item, Artifact) else _folders_of(item))]


def _folders_of(name: str | Path) -> list[Path]:
    path = Path(name)
    if not path.exists() and len(path.parts) == 1:
        path = ARTIFACTS / str(name).replace("_", "-")
    if not path.exists():
        known = [p.name for p in ARTIFACTS.iterdir()] if ARTIFACTS.is_dir() else []
        raise UnknownName("artifact", str(name), known, hint=f"a folder below {ARTIFACTS}/, or edgedeploy export")
    if not path.is_dir() or (path / MANIFEST).is_file():
        return [path]
    inside = list(find_artifacts(path))
    if not inside:
        raise UsageError(f"there is no artifact below {path}", hint="edgedeploy export MODEL --target T")
    return inside
