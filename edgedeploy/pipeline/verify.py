"""verify: an artifact against the float network's stored outputs, on this machine or on a device. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.core.artifact import GOLDEN, Artifact
from edgedeploy.core.errors import UsageError
from edgedeploy.core.parity import Parity
from edgedeploy.core.reporter import NullReporter, Reporter

from .bounds import MAX_THREADS, check_bounds
from .verification import HostReference, check_threshold, parity_of, workload_of


@dataclass(frozen=True)
class VerifiedOutput:
    """One output compared with the float network's; on a device also with the same file's output on this machine."""

    parity: Parity
    host_agreement: Parity | None = None


def verify(
    artifact: str | Path, *, device: str = "local", threads: int = 1, reporter: Reporter | None = None
) -> list[Parity]:
    """Runs an artifact on its stored inputs and compares with the float network's stored outputs.

    Returns one Parity for each output. Raises ArtifactInvalid, RunnerFailed, a DeviceError, or ParityFailed where an output
    misses its target's threshold.
    """
    return [output.parity for output in verify_outputs(artifact, device=device, threads=threads, reporter=reporter)]


def verify_outputs(
    artifact: str | Path, *, device: str = "local", threads: int = 1, reporter: Reporter | None = None
) -> list[VerifiedOutput]:
    """As `verify`; on a device each output is also compared with that of the same file on this machine."""
    from edgedeploy.benchmarks.executors import RunOptions, open_executor
    from edgedeploy.benchmarks.executors.python_process import run_in_python

    check_bounds("--threads", threads, 1, MAX_THREADS)
    reporter = reporter or NullReporter()
    loaded = Artifact.load(Path(artifact))
    golden, manifest = loaded.golden(), loaded.manifest
    if golden is None:
        raise UsageError(f"{loaded.folder} has no {GOLDEN} to verify against", hint="export the model again")
    workload, options = workload_of(loaded, golden), RunOptions(threads=threads, warmup_runs=0, num_runs=0, min_secs=0)
    agreement: Sequence[Parity | None] = [None] * len(manifest.outputs)
    if device == "local":
        outputs = run_in_python(manifest.runtime, loaded.path, workload.inputs, options).outputs
    else:
        with open_executor(device) as executor, HostReference(reporter) as host:
            executor.prepare(workload, reporter)
            with reporter.stage(f"run {loaded} on {executor.info.name}"):
                outputs = executor.run(workload, options, reporter).outputs
            agreement = host.agreement(workload, manifest.outputs, outputs) or agreement
    parities = parity_of(golden, outputs, manifest.outputs)
    check_threshold(str(loaded), manifest.threshold, parities)
    return [VerifiedOutput(*pair) for pair in zip(parities, agreement, strict=True)]
