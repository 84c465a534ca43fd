"""bench: artifacts in, Measurements out. Imports no torch."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from edgedeploy.core.artifact import MANIFEST, Artifact, find_artifacts
from edgedeploy.core.device import ConditionLogEntry
from edgedeploy.core.errors import (
    DeviceBusy,
    DeviceLost,
    DeviceTooHot,
    EdgedeployError,
    NoDevice,
    NotTrustworthy,
    ResultsInvalid,
    RunnerFailed,
    UnknownName,
    UsageError,
)
from edgedeploy.core.measurement import InstructionProfile, Measurement, Profile
from edgedeploy.core.parity import worst
from edgedeploy.core.reporter import NullReporter, Reporter
from edgedeploy.core.results.paired import PairedComparison
from edgedeploy.core.results.source import Source, SourcedResults
from edgedeploy.core.storage.files import is_replaceable, write_atomically

from .destinations import check_destinations
from .measuring.options import BenchKeywords, BenchOptions
from .measuring.recorded import as_recorded, line_of
from .measuring.revisions import source_here
from .verification import HostReference, parity_of, workload_of

if TYPE_CHECKING:
    from edgedeploy.benchmarks.executors import Executor, RunOptions, RunOutput, Workload
    from edgedeploy.benchmarks.recording.records import RecordedOptions

ARTIFACTS = Path("artifacts")
ENDS_THE_BENCH = (
    DeviceLost,
    NoDevice,
    DeviceBusy,
    DeviceTooHot,
    ResultsInvalid,
)  # the next artifact would meet the same

OnRow = Callable[[int, Measurement], object]  # the row's index, and the row whenever it is new or completed


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
    chosen = as_recorded(BenchOptions(**options))
    reporter = reporter or NullReporter()
    failures: list[str] = []
    found = load_named(find_named(artifacts), failures, reporter)
    found = artifacts_for_runtime(found, chosen.runtime, reporter)
    rows = Rows(chosen.json_file, on_row, source_here(chosen.device))
    with open_for(chosen, rows, line_of(chosen, found)) as executor, HostReference(reporter) as host:
        for artifact in found:
            for threads in threads_of(executor, chosen.threads, reporter):
                run_options = chosen.run_options(threads)
                try:
                    context = RowContext(executor, host, threads, chosen.protocol)
                    rows.add(measure(artifact, run_options, context, reporter))
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


def load_named(named: Sequence[Path | Artifact], failures: list[str], reporter: Reporter) -> list[Artifact]:
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

    def __init__(self, json_file: str | Path | None, on_row: OnRow | None, source: Source | None) -> None:
        self.measurements: list[Measurement] = []
        self.pairs: list[PairedComparison] = []
        self._json_file, self._on_row, self._source = json_file, on_row, source

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

    def add_pair(self, rows: Sequence[Measurement], pair: PairedComparison) -> None:
        """Keeps two more, which were measured in turns, and what that says."""
        self.pairs.append(pair)
        for row in rows:
            self.add(row)

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
        write_atomically(path, SourcedResults.made(self.measurements, self.pairs, self._source).to_json())


@contextlib.contextmanager
def open_for(options: BenchOptions, rows: Rows, line: RecordedOptions) -> Iterator[Executor]:
    """The executor; when it is left, however that happens, the rows are completed with what was restored there, and the
    record of this `line` is written, if one was asked for.
    """
    from edgedeploy.benchmarks.executors import open_executor
    from edgedeploy.benchmarks.recording.recorder import Recorder

    check_destinations([Path(file) for file in (options.json_file, options.record) if file])
    executor: Executor | None = None
    recorder = Recorder(options.record_names) if options.record else None
    try:
        with open_executor(options.device, options.executor_options(recorder)) as executor:
            yield executor
    finally:
        if executor is not None and executor.restored and rows.measurements:
            rows.add_restored(executor.restored)
        rows.close()
        if recorder and options.record:
            recorder.write(Path(options.record), line, rows.measurements)


def measure(artifact: Artifact, options: RunOptions, context: RowContext, reporter: Reporter) -> Measurement:
    """Measures one artifact with one number of threads. Raises RunnerFailed, ArtifactInvalid or a DeviceError."""
    workload = workload_of(artifact, artifact.golden())
    context.executor.prepare(workload, reporter)
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with reporter.stage(f"measure {artifact} with {options.threads} thread{'s' if options.threads > 1 else ''}"):
        output = context.executor.run(workload, options, reporter)
    return row_of(artifact, workload, output, replace(context, started=started))


@dataclass(frozen=True)
class RowContext:
    """Where, when and by which protocol an output was measured."""

    executor: Executor
    host: HostReference
    threads: int
    protocol: str = "default"
    started: str = ""


def row_of(artifact: Artifact, workload: Workload, output: RunOutput, context: RowContext) -> Measurement:
    """The Measurement of a run: with its parity, its statistics and its verdict."""
    from edgedeploy.benchmarks.statistics import assess

    manifest, golden, executor = artifact.manifest, artifact.golden(), context.executor
    parity = parity_of(golden, output.outputs, manifest.outputs) if golden else ()
    agreement = None if executor.is_host else context.host.agreement(workload, manifest.outputs, output.outputs)
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
        threads=context.threads,
        latency_ns=None,
        parity=worst(parity),
        host_agreement=worst(agreement or ()),
        started_at=context.started,
        protocol=context.protocol,
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


def artifacts_for_runtime(artifacts: list[Artifact], runtime: str | None, reporter: Reporter) -> list[Artifact]:
    """The artifacts that the legacy runtime can run, if it was asked for."""
    if runtime is None:
        return artifacts
    fitting = [artifact for artifact in artifacts if artifact.manifest.runtime == "litert"]
    if not fitting:
        raise UsageError(f"none of these is a tflite artifact, which is what {runtime} runs")
    if len(fitting) < len(artifacts):
        reporter.note(f"{len(artifacts) - len(fitting)} artifacts are left out: {runtime} runs tflite-* only")
    return fitting


def threads_of(executor: Executor, threads: Sequence[int], reporter: Reporter) -> Sequence[int]:
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
