"""bench: artifacts in, Measurements out. Imports no torch."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.core.artifact import Artifact, find_artifacts
from edgedeploy.core.errors import (
    DeviceBusy,
    DeviceLost,
    DeviceTooHot,
    EdgedeployError,
    NoDevice,
    RunnerFailed,
    UnknownName,
    UsageError,
)
from edgedeploy.core.measurement import Measurement, Profile, measurements_to_json
from edgedeploy.core.parity import Parity
from edgedeploy.core.reporter import NullReporter, Reporter
from edgedeploy.core.storage.files import write_json
from edgedeploy.core.versions import EDGEDEPLOY_VERSION
from edgedeploy.core.versions import versions

from .verify import HostReference, parity_of, task_of

if TYPE_CHECKING:
    from edgedeploy.benchmarks.executors.base import Executor, ExecutorOptions
    from edgedeploy.benchmarks.executors.python_process import RunOptions

ARTIFACTS = Path("artifacts")
ENDS_THE_BENCH = (DeviceLost, NoDevice, DeviceBusy, DeviceTooHot)  # the next artifact would meet the same


def bench(
    artifacts: Iterable[str | Path | Artifact] = (),
    *,
    device: str = "local",
    threads: Sequence[int] = (1,),
    warmup_runs: int = 3,
    num_runs: int = 50,
    min_secs: float = 1.0,
    max_secs: float = 150.0,
    cores: str = "all",
    max_start_temp: float | None = None,
    cooldown: float = 0.0,
    runtime: str | None = None,
    profile: bool = False,
    json_file: str | Path | None = None,
    reporter: Reporter | None = None,
    into: list[Measurement] | None = None,
) -> list[Measurement]:
    """Measures artifacts in their real runtime, each in a process of its own, and proves their outputs on the way.

    Args:
        artifacts: folders, manifests, files, or model names below ./artifacts; none means all that are there.
        device: "local", "adb:NAME", "ssh:user@host", an alias, or "qemu[:CPU]", which counts instructions instead.
        threads: each artifact is measured once for each number.
        warmup_runs, num_runs, min_secs, max_secs: as in TFLite's benchmark_model.
        cores: "big", "little", "all", or a hexadecimal mask.
        max_start_temp: wait before each row until the processor is below this, in °C.
        cooldown: seconds between two rows.
        runtime: "tflite-runtime" runs tflite-* artifacts in the old runtime 2.14, on this machine.
        profile: after each row start the runner once more, for the time of each operator.
        json_file: gets every measurement as soon as it is made, so that a failure in the seventh does not lose six.
        into: an empty list that gets them too, for who wants those that were made before an error.

    An artifact that cannot be run does not stop the others; RunnerFailed is raised at the end. A device that does not
    come back, or stays too hot, ends it; what was measured by then is in `json_file`.
    """
    from edgedeploy.benchmarks.conditions.session import MeasurementConditions
    from edgedeploy.benchmarks.executors.base import ExecutorOptions
    from edgedeploy.benchmarks.executors.python_process import RunOptions

    _check_plan(threads, num_runs, warmup_runs, min_secs, max_secs)
    if cooldown < 0:
        raise UsageError("--cooldown must not be negative")
    reporter = reporter or NullReporter()
    found = [a if isinstance(a, Artifact) else Artifact.load(a) for a in _places(artifacts)]
    found = _for_runtime(found, runtime, reporter)
    options = ExecutorOptions(
        MeasurementConditions(cores=cores, max_start_temperature_c=max_start_temp, cooldown_s=cooldown), runtime
    )
    rows: list[Measurement] = [] if into is None else into
    failures: list[str] = []
    with _place_of(rows, device, options, json_file) as place, HostReference() as host:
        counts = _threads_of(place, threads, reporter)
        for artifact, count in ((artifact, count) for artifact in found for count in counts):
            plan = RunOptions(count, warmup_runs, num_runs, min_secs, max_secs)
            try:
                rows.append(measure(artifact, place, plan, host, reporter))
                _save(rows, json_file)
                if profile:
                    rows[-1] = replace(rows[-1], profile=profile_of(artifact, place, plan, reporter))
                    _save(rows, json_file)
            except ENDS_THE_BENCH:
                raise
            except EdgedeployError as error:
                reporter.note(f"{artifact} was not measured: {error.message}")
                failures += str(error).splitlines()
    if failures:
        raise RunnerFailed("not everything was measured", details=failures)
    return rows


@contextlib.contextmanager
def _place_of(
    rows: list[Measurement], device: str, options: ExecutorOptions, json_file: str | Path | None
) -> Iterator[Executor]:
    """The place; when it is left, however that happens, the rows are completed with what was undone there."""
    from edgedeploy.benchmarks.executors.base import open_executor

    place: Executor | None = None
    try:
        with open_executor(device, options) as place:
            yield place
    finally:
        if place is not None and place.restored and rows:
            rows[:] = [replace(row, conditions=(*row.conditions, *place.restored)) for row in rows]
            _save(rows, json_file)


def _save(rows: list[Measurement], json_file: str | Path | None) -> None:
    if json_file:
        write_json(Path(json_file), measurements_to_json(rows, tool()))


def measure(
    artifact: Artifact, place: Executor, plan: RunOptions, host: HostReference, reporter: Reporter
) -> Measurement:
    """One artifact in one place. Raises RunnerFailed, ArtifactInvalid or a DeviceError."""
    from edgedeploy.benchmarks.statistics.summary import summarise

    manifest, golden, task = artifact.manifest, artifact.golden(), task_of(artifact)
    place.prepare(task, reporter)
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with reporter.stage(f"measure {artifact} with {plan.threads} thread{'s' if plan.threads > 1 else ''}"):
        ran = place.run(task, plan, reporter)
    parity = parity_of(golden, ran.outputs, manifest) if golden else None
    agreement = None if place.is_host else host.agreement(task, manifest, ran.outputs, reporter)
    notes = [*ran.notes]
    if place.info.emulated and ran.instructions is None:
        notes.append("an emulator: its times mean nothing and are not shown; --device qemu counts instructions")
    if manifest.made_by.get("weights", {}).get("kind") == "random":
        cost = "instructions are" if ran.instructions else "latency is"
        notes.append(f"random weights: {cost} real, accuracy means nothing")
    figures = {field.name: getattr(ran, field.name) for field in fields(ran) if field.name not in ("outputs", "notes")}
    return Measurement(
        model=manifest.model,
        target=manifest.target,
        artifact=str(artifact.folder),
        artifact_sha256=manifest.sha256,
        size_bytes=manifest.size_bytes,
        device=place.info,
        threads=plan.threads,
        latency_ns=summarise(ran.samples_ns) if ran.samples_ns else None,
        parity=_worst(parity),
        host_agreement=_worst(agreement),
        notes=tuple(notes),
        started_at=started,
        **figures,
    )


def profile_of(artifact: Artifact, place: Executor, plan: RunOptions, reporter: Reporter) -> Profile:
    """The profile of a measured artifact. A runner that fails under it costs the profile, not the row."""
    with reporter.stage(f"profile {artifact}"):
        try:
            return place.profile(task_of(artifact), plan, reporter)
        except RunnerFailed as error:
            return Profile(not_available=error.message)


def _worst(parities: Sequence[Parity] | None) -> Parity | None:
    return min(parities, key=lambda parity: parity.sqnr_db) if parities else None


def _for_runtime(artifacts: list[Artifact], runtime: str | None, reporter: Reporter) -> list[Artifact]:
    """Those that the old runtime can be asked to run, if it was asked for."""
    if runtime is None:
        return artifacts
    fitting = [artifact for artifact in artifacts if artifact.manifest.runner == "litert"]
    if not fitting:
        raise UsageError(f"none of these is a tflite artifact, which is what {runtime} runs")
    if len(fitting) < len(artifacts):
        reporter.note(f"{len(artifacts) - len(fitting)} artifacts are left out: {runtime} runs tflite-* only")
    return fitting


def _threads_of(place: Executor, threads: Sequence[int], reporter: Reporter) -> Sequence[int]:
    """Instructions are counted on one thread: how work is shared out changes nothing of the work."""
    if place.info.kind != "qemu":
        return threads
    if tuple(threads) != (1,):
        reporter.note("instructions are counted on one thread")
    return (1,)


def tool() -> dict[str, object]:
    """Who made a result file."""
    return {"name": "edgedeploy", "version": EDGEDEPLOY_VERSION, "versions": versions()}


def _places(artifacts: Iterable[str | Path | Artifact]) -> list[Path | Artifact]:
    """Folders of the named artifacts; a bare model name means all its targets below ./artifacts."""
    places: list[Path | Artifact] = []
    named = list(artifacts)
    for item in named:
        if isinstance(item, Artifact):
            places.append(item)
            continue
        path = Path(item)
        if not path.exists() and len(path.parts) == 1:
            path = ARTIFACTS / str(item).replace("_", "-")
        if path.is_dir() and not (path / "manifest.json").is_file():
            inside = list(find_artifacts(path))
            if not inside:
                raise UsageError(f"there is no artifact below {path}", hint="edgedeploy export MODEL --target T")
            places += inside
        elif path.exists():
            places.append(path)
        else:
            known = [p.name for p in ARTIFACTS.iterdir()] if ARTIFACTS.is_dir() else []
            raise UnknownName("artifact", str(item), known, hint=f"a folder below {ARTIFACTS}/, or edgedeploy export")
    if not named:
        places = list(find_artifacts(ARTIFACTS)) if ARTIFACTS.is_dir() else []
        if not places:
            raise UsageError(
                f"there is nothing to measure: no artifact below {ARTIFACTS.resolve()}",
                hint="edgedeploy export topformer-tiny --target tflite-int8",
            )
    return places


def _check_plan(threads: Sequence[int], num_runs: int, warmup_runs: int, min_secs: float, max_secs: float) -> None:
    if not threads or any(count < 1 for count in threads):
        raise UsageError("--threads takes whole numbers from 1", hint="--threads 1,2,4")
    if num_runs < 1 or warmup_runs < 0 or min_secs < 0 or max_secs <= 0:
        raise UsageError("--num-runs must be at least 1, and times must not be negative")
    if min_secs > max_secs:
        raise UsageError(f"--min-secs {min_secs:g} is more than --max-secs {max_secs:g}")
