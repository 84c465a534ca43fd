"""Proof: an artifact's outputs against the float network's, here and now. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .core.artifact import GOLDEN, Artifact, Golden, Manifest, dequantize, quantize
from .core.errors import ParityFailed, UsageError
from .core.numerics import Parity, compare
from .reporter import Reporter, Silent


def verify(artifact: str | Path, *, threads: int = 1) -> list[Parity]:
    """Runs an artifact on its stored inputs and compares with the float network's stored outputs.

    Returns one Parity for each output. Raises ArtifactInvalid, RunnerFailed, or ParityFailed below the target's floor.
    """
    from edgedeploy.benchmarks.local import RunPlan, run_locally

    loaded = Artifact.load(Path(artifact))
    golden = loaded.golden()
    if golden is None:
        raise UsageError(f"{loaded.folder} has no {GOLDEN} to verify against", hint="export the model again")
    manifest = loaded.manifest
    inputs = [[quantize(a, s) for a, s in zip(sample, manifest.inputs, strict=True)] for sample in golden.inputs]
    result = run_locally(manifest.runner, loaded.path, inputs, RunPlan(threads=threads, warmup_runs=0, num_runs=0))
    parity = parity_of(golden, result.outputs, manifest)
    check_floor(str(loaded), manifest.floor, parity, allow=False, say=Silent())
    return parity


def parity_of(golden: Golden, outputs: Sequence[Sequence[Any]], manifest: Manifest) -> list[Parity]:
    """One Parity for each output, over all samples together."""
    found = []
    for index, spec in enumerate(manifest.outputs):
        reference = np.concatenate([sample[index] for sample in golden.outputs])
        actual = np.concatenate([dequantize(sample[index], spec) for sample in outputs])
        found.append(compare(reference, actual, class_axis=1 if reference.ndim in (2, 4) else None))
    return found


def check_floor(
    name: str, floor: Mapping[str, float | None], parity: Sequence[Parity], *, allow: bool, say: Reporter
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
        say.note(f"{name} is kept below its floor: {'; '.join(misses)}")
        return
    raise ParityFailed(
        f"{name} does not compute what the network computes",
        details=misses,
        hint="more and better calibration images (--calib DIR), another target, or --allow-low-parity to keep it",
    )
