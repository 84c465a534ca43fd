"""Runs artifacts through the runtimes' Python bindings, each in a process of its own; see python_worker.py."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgedeploy.core.child_processes import child_environment, module_command
from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.parity import Array
from edgedeploy.core.storage.files import private_folder
from edgedeploy.core.storage.json_records import RecordInvalid, decode, encode

from .base import RunOptions
from .python_protocol import WorkerAnswer, WorkerFailure, WorkerRequest

Sample = Sequence[Array]


@dataclass(frozen=True)
class PythonRun:
    """What a run returned.

    Attributes:
        outputs: for each input sample, the artifact's outputs.
        samples_ns: each counted inference.
        note: what a reader of the memory figure must know, or "".
    """

    outputs: list[list[Array]]
    samples_ns: tuple[int, ...]
    load_ns: int
    first_inference_ns: int
    peak_rss_bytes: int
    runtime_version: str
    note: str


def run_in_python(runtime: str, path: Path, samples: Sequence[Sample], options: RunOptions) -> PythonRun:
    """Runs every sample once and measures the first. Raises RunnerFailed with what the runtime reported."""
    with private_folder() as folder:
        inputs, outputs = folder / "inputs.npz", folder / "outputs.npz"
        arrays = {f"{s}_{i}": array for s, sample in enumerate(samples) for i, array in enumerate(sample)}
        np.savez(inputs, **arrays)  # type: ignore[arg-type]
        answer = _ask_worker(WorkerRequest(runtime, str(path), str(inputs), str(outputs), options))
        if answer.failure is not None:
            raise _failed(answer.failure, runtime, path)
        with np.load(outputs, allow_pickle=False) as file:
            results = [
                [file[f"{s}_{i}"] for i in range(sum(name.startswith(f"{s}_") for name in file.files))]
                for s in range(len(samples))
            ]
    measured = answer.result
    assert measured is not None
    return PythonRun(
        outputs=results,
        samples_ns=measured.samples_ns,
        load_ns=measured.load_ns,
        first_inference_ns=measured.first_inference_ns,
        peak_rss_bytes=measured.peak_rss_bytes,
        runtime_version=measured.runtime_version,
        note=measured.note,
    )


def _failed(failure: WorkerFailure, runtime: str, path: Path) -> RunnerFailed:
    if failure.hint:
        return RunnerFailed(failure.error, hint=failure.hint)
    return RunnerFailed(
        f"{runtime} could not {failure.stage} {path}",
        details=[line for line in failure.error.splitlines() if line.strip()][:6],
        hint="`edgedeploy doctor` shows the runtimes' versions; export again if they changed",
    )


def _ask_worker(request: WorkerRequest) -> WorkerAnswer:
    process = subprocess.Popen(
        module_command("edgedeploy.benchmarks.executors.python_worker"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child_environment() | {"TF_CPP_MIN_LOG_LEVEL": "2"},
        text=True,
    )
    try:
        stdout, stderr = process.communicate(encode(request))
    except BaseException:  # Ctrl-C too: nothing is left running
        process.kill()
        process.wait()
        raise
    try:
        return decode(stdout.splitlines()[-1], WorkerAnswer)
    except (IndexError, RecordInvalid):
        raise _crashed(request, process.returncode, stderr) from None


def _crashed(request: WorkerRequest, code: int, stderr: str) -> RunnerFailed:
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    memory = "the machine may be out of memory; " if code == -signal.SIGKILL else ""
    return RunnerFailed(
        f"{request.runtime} {how} while running {request.path}",
        details=[line for line in stderr.splitlines() if line.strip()][-4:],
        hint=f"{memory}`edgedeploy verify {request.path}` runs it once, without measuring",
    )
