"""bench: artifacts in, Measurements out. Imports no torch."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import __version__
from .core.artifact import Artifact, find_artifacts, quantize
from .core.errors import EdgedeployError, RunnerFailed, UnknownName, UsageError
from .core.files import write_json
from .core.measurement import Measurement, measurements_to_json
from .reporter import Reporter, Silent
from .versions import versions

if TYPE_CHECKING:
    from edgedeploy.benchmarks.local import RunPlan

ARTIFACTS = Path("artifacts")


def bench(
    artifacts: Iterable[str | Path | Artifact] = (),
    *,
    device: str = "local",
    threads: Sequence[int] = (1,),
    warmup_runs: int = 3,
    num_runs: int = 50,
    min_secs: float = 1.0,
    max_secs: float = 150.0,
    json_file: str | Path | None = None,
    reporter: Reporter | None = None,
    on_measurement: Callable[[Measurement], None] | None = None,
) -> list[Measurement]:
    """Measures artifacts in their real runtime, each in a process of its own.

    Args:
        artifacts: folders, manifests, files, or model names below ./artifacts; none means all that are there.
        device: where to run; "local" is this machine.
        threads: each artifact is measured once for each number.
        warmup_runs, num_runs, min_secs, max_secs: as in TFLite's benchmark_model.
        json_file: gets every measurement as soon as it is made, so that a failure in the seventh does not lose six.
        on_measurement: called with each.

    An artifact that cannot be run does not stop the others; RunnerFailed is raised at the end.
    """
    from edgedeploy.benchmarks.local import RunPlan

    if device != "local":
        raise UnknownName("device", device, ["local"], hint="only this machine (local) can be measured so far")
    _check_plan(threads, num_runs, warmup_runs, min_secs, max_secs)
    say = reporter or Silent()
    found = [a if isinstance(a, Artifact) else Artifact.load(a) for a in _places(artifacts)]
    made: list[Measurement] = []
    failures: list[str] = []
    for artifact in found:
        for count in threads:
            plan = RunPlan(count, warmup_runs, num_runs, min_secs, max_secs)
            label = f"measure {artifact} with {count} thread{'s' if count > 1 else ''}"
            try:
                with say.stage(label):
                    measurement = measure(artifact, plan)
            except EdgedeployError as error:
                say.note(f"{artifact} was not measured: {error.message}")
                failures += str(error).splitlines()
                continue
            made.append(measurement)
            if on_measurement:
                on_measurement(measurement)
            if json_file:
                write_json(Path(json_file), measurements_to_json(made, tool()))
    if failures:
        raise RunnerFailed("not everything was measured", details=failures)
    return made


def measure(artifact: Artifact, plan: RunPlan) -> Measurement:
    """One artifact on this machine. Raises RunnerFailed or ArtifactInvalid."""
    from edgedeploy.benchmarks.local import describe, run_locally
    from edgedeploy.benchmarks.stats import summarise

    from .proof import parity_of

    manifest, golden = artifact.manifest, artifact.golden()
    rng = np.random.default_rng(0)
    real = (
        golden.inputs if golden else [[rng.standard_normal(spec.shape).astype(np.float32) for spec in manifest.inputs]]
    )
    inputs = [[quantize(a, s) for a, s in zip(sample, manifest.inputs, strict=True)] for sample in real]
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    ran = run_locally(manifest.runner, artifact.path, inputs, plan)
    parity = parity_of(golden, ran.outputs, manifest) if golden else []
    notes = [ran.note] if ran.note else []
    if manifest.made_by.get("weights", {}).get("kind") == "random":
        notes.append("random weights: latency is real, accuracy means nothing")
    return Measurement(
        model=manifest.model,
        target=manifest.target,
        runner=manifest.runner,
        runtime_version=ran.runtime_version,
        artifact=str(artifact.folder),
        artifact_sha256=manifest.sha256,
        size_bytes=manifest.size_bytes,
        device=describe(),
        threads=plan.threads,
        latency_ns=summarise(ran.samples_ns),
        samples_ns=ran.samples_ns,
        load_ns=ran.load_ns,
        first_inference_ns=ran.first_inference_ns,
        peak_rss_bytes=ran.peak_rss_bytes,
        parity=min(parity, key=lambda p: p.sqnr_db) if parity else None,
        notes=tuple(notes),
        started_at=started,
    )


def tool() -> dict[str, object]:
    """Who made a result file."""
    return {"name": "edgedeploy", "version": __version__, "versions": versions()}


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
