"""Proof: an artifact's outputs against the float network's, here and now. Imports no torch."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedeploy.core.artifact import GOLDEN, Artifact, Golden, Manifest, dequantize, quantize
from edgedeploy.core.errors import EdgedeployError, ParityFailed, UsageError
from edgedeploy.core.parity import Parity, compare
from edgedeploy.core.recipe import DYNAMIC_INT8, STATIC_INT8
from edgedeploy.core.reporter import NullReporter, Reporter

if TYPE_CHECKING:
    from edgedeploy.benchmarks.executors.base import Executor, Task


@dataclass(frozen=True)
class VerifiedOutput:
    """One output, held against the float network's, and against the same file's output on this machine."""

    parity: Parity
    host_agreement: Parity | None = None


def verify(artifact: str | Path, *, device: str = "local", threads: int = 1) -> list[Parity]:
    """Runs an artifact on its stored inputs and compares with the float network's stored outputs.

    Returns one Parity for each output. Raises ArtifactInvalid, RunnerFailed, a DeviceError, or ParityFailed below the
    target's floor.
    """
    return [proved.parity for proved in examine(artifact, device=device, threads=threads)]


def examine(
    artifact: str | Path, *, device: str = "local", threads: int = 1, reporter: Reporter | None = None
) -> list[VerifiedOutput]:
    """As `verify`; on a device each output is also compared with that of the same file on this machine."""
    from edgedeploy.benchmarks.executors.python_process import RunOptions, run_locally

    reporter = reporter or NullReporter()
    loaded = Artifact.load(Path(artifact))
    golden, manifest = loaded.golden(), loaded.manifest
    if golden is None:
        raise UsageError(f"{loaded.folder} has no {GOLDEN} to verify against", hint="export the model again")
    task, plan = task_of(loaded), RunOptions(threads=threads, warmup_runs=0, num_runs=0, min_secs=0)
    agreement: Sequence[Parity | None]
    if device == "local":
        outputs = run_locally(manifest.runner, loaded.path, task.inputs, plan).outputs
        agreement = [None] * len(manifest.outputs)
    else:
        from edgedeploy.benchmarks.executors.base import open_executor

        with open_executor(device) as place, HostReference() as host:
            place.prepare(task, reporter)
            with reporter.stage(f"run {loaded} on {place.info.name}"):
                outputs = place.run(task, plan, reporter).outputs
            agreement = host.agreement(task, manifest, outputs, reporter) or [None] * len(manifest.outputs)
    parity = parity_of(golden, outputs, manifest)
    check_thresholds(str(loaded), manifest.floor, parity, allow=False, reporter=NullReporter())
    return [VerifiedOutput(*pair) for pair in zip(parity, agreement, strict=True)]


def task_of(artifact: Artifact) -> Task:
    """What a place runs: the stored inputs, as the file takes them; seeded random ones where none are stored."""
    from edgedeploy.benchmarks.executors.base import Task

    manifest, golden = artifact.manifest, artifact.golden()
    if golden:
        real = golden.inputs
    else:
        rng = np.random.default_rng(0)
        real = [[rng.standard_normal(spec.shape).astype(np.float32) for spec in manifest.inputs]]
    return Task(
        name=str(artifact),
        runner=manifest.runner,
        path=artifact.path,
        sha256=manifest.sha256,
        inputs=[[quantize(a, s) for a, s in zip(sample, manifest.inputs, strict=True)] for sample in real],
        macs=manifest.macs,
        int8=manifest.made_by.get("recipe") in (STATIC_INT8.name, DYNAMIC_INT8.name),
    )


class HostReference:
    """What artifacts give on this machine, for comparing a device with it: each is run once."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._place: Executor | None = None
        self._outputs: dict[str, list[list[Any]] | None] = {}

    def __enter__(self) -> HostReference:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def agreement(
        self, task: Task, manifest: Manifest, outputs: Sequence[Sequence[Any]], reporter: Reporter
    ) -> list[Parity] | None:
        """One Parity for each output, this machine's being the reference; None where the file does not run here."""
        if task.sha256 not in self._outputs:
            self._outputs[task.sha256] = self._run(task, reporter)
        mine = self._outputs[task.sha256]
        if mine is None:
            return None
        real = [[dequantize(array, spec) for array, spec in zip(s, manifest.outputs, strict=True)] for s in mine]
        return parity_of(Golden(list(map(list, task.inputs)), real), outputs, manifest)

    def _run(self, task: Task, reporter: Reporter) -> list[list[Any]] | None:
        from edgedeploy.benchmarks.executors.base import open_executor
        from edgedeploy.benchmarks.executors.python_process import RunOptions

        try:
            if self._place is None:
                self._place = self._stack.enter_context(open_executor("local"))
            self._place.prepare(task, reporter)
            with reporter.stage(f"run {task.name} on this machine, to compare with"):
                return self._place.run(task, RunOptions(warmup_runs=0, num_runs=0, min_secs=0), reporter).outputs
        except EdgedeployError as error:
            reporter.note(
                f"{task.name} does not run on this machine, so there is nothing to compare with: {error.message}"
            )
            return None


def parity_of(golden: Golden, outputs: Sequence[Sequence[Any]], manifest: Manifest) -> list[Parity]:
    """One Parity for each output, over all samples together."""
    found = []
    for index, spec in enumerate(manifest.outputs):
        reference = np.concatenate([sample[index] for sample in golden.outputs])
        actual = np.concatenate([dequantize(sample[index], spec) for sample in outputs])
        found.append(compare(reference, actual, class_axis=1 if reference.ndim in (2, 4) else None))
    return found


def check_thresholds(
    name: str, floor: Mapping[str, float | None], parity: Sequence[Parity], *, allow: bool, reporter: Reporter
) -> None:
    """Raises ParityFailed, or tells it, when an output is below its target's floor. Labels are held to their agreement."""
    misses = []
    for index, found in enumerate(parity):
        if found.labels:
            bound = floor.get("label_agreement")
            if bound is not None and (found.label_agreement or 0.0) < bound:
                misses.append(f"output {index}: {found.label_agreement:.2%} of labels agree, the floor is {bound:.0%}")
            continue
        bound = floor.get("relative_error")
        if bound is not None and not found.relative_error < bound:
            misses.append(f"output {index}: largest error {found.relative_error:.2g} σ, the floor is {bound:g} σ")
        bound = floor.get("sqnr_db")
        if bound is not None and not found.sqnr_db >= bound:
            misses.append(f"output {index}: SQNR {found.sqnr_db:.1f} dB, the floor is {bound:g} dB")
    if not misses:
        return
    if allow:
        reporter.note(f"{name} is kept below its floor: {'; '.join(misses)}")
        return
    raise ParityFailed(
        f"{name} does not compute what the network computes",
        details=misses,
        hint="more and better calibration images (--calib DIR), another target, or --allow-low-parity to keep it",
    )
