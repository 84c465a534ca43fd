"""Runs artifacts on this machine, each in a process of its own, and hands back raw samples and outputs."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgedeploy
from edgedeploy.core.errors import MissingExtra, RunnerFailed
from edgedeploy.core.measurement import DeviceInfo
from edgedeploy.core.storage.files import private_folder

Sample = Sequence[NDArray[Any]]


@dataclass(frozen=True)
class RunOptions:
    """How long to measure. The names are those of TFLite's benchmark_model.

    Attributes:
        threads: of the runtime's pool.
        warmup_runs: invokes before the first counted one.
        num_runs: least number of counted invokes; 0 runs the inputs once and measures nothing.
        min_secs, max_secs: measure at least and at most this long.
    """

    threads: int = 1
    warmup_runs: int = 3
    num_runs: int = 50
    min_secs: float = 1.0
    max_secs: float = 150.0


@dataclass(frozen=True)
class RunResult:
    """What a run gave.

    Attributes:
        outputs: for each input sample, the artifact's outputs.
        samples_ns: each counted invoke.
    """

    outputs: list[list[NDArray[Any]]]
    samples_ns: list[int]
    load_ns: int
    first_inference_ns: int
    peak_rss_bytes: int
    runtime_version: str
    note: str


def run_locally(runner: str, path: Path, samples: Sequence[Sample], plan: RunOptions) -> RunResult:
    """Runs every sample once and measures the first. Raises RunnerFailed with what the runtime said."""
    with private_folder() as folder:
        inputs, outputs = folder / "inputs.npz", folder / "outputs.npz"
        arrays = {f"{s}_{i}": array for s, sample in enumerate(samples) for i, array in enumerate(sample)}
        np.savez(inputs, **arrays)  # type: ignore[arg-type]
        request = {"runner": runner, "path": str(path), "inputs": str(inputs), "outputs": str(outputs), **asdict(plan)}
        answer = _ask_worker(request)
        if not answer["ok"]:
            if answer["hint"]:
                raise RunnerFailed(answer["error"], hint=answer["hint"])
            raise RunnerFailed(
                f"{runner} could not {answer['stage']} {path}",
                details=[line for line in answer["error"].splitlines() if line.strip()][:6],
                hint="`edgedeploy doctor` shows the runtimes' versions; export again if they changed",
            )
        with np.load(outputs, allow_pickle=False) as file:
            results = [
                [file[f"{s}_{i}"] for i in range(sum(name.startswith(f"{s}_") for name in file.files))]
                for s in range(len(samples))
            ]
    keys = ("samples_ns", "load_ns", "first_inference_ns", "peak_rss_bytes", "runtime_version", "note")
    return RunResult(results, *(answer[key] for key in keys))


def _ask_worker(request: dict[str, Any]) -> dict[str, Any]:
    # Where the package runs from a checkout it need not be installed: the child finds it the way this process did.
    root = str(Path(edgedeploy.__file__).resolve().parent.parent)
    paths = [p for p in (os.environ.get("PYTHONPATH", ""), *sys.path) if p]
    environment = {
        **os.environ,
        "ORT_DISABLE_TELEMETRY": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "PYTHONPATH": os.pathsep.join([*paths, root] if root not in paths else paths),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "edgedeploy.benchmarks.executors.python_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    try:
        stdout, stderr = process.communicate(json.dumps(request))
    except BaseException:  # Ctrl-C too: nothing is left running
        process.kill()
        process.wait()
        raise
    try:
        answer: dict[str, Any] = json.loads(stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise _crash(request, process.returncode, stderr) from None
    return answer


def _crash(request: dict[str, Any], code: int, stderr: str) -> RunnerFailed | MissingExtra:
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    last = [line for line in stderr.splitlines() if line.strip()][-4:]
    memory = "the machine may be out of memory; " if code == -signal.SIGKILL else ""
    return RunnerFailed(
        f"{request['runner']} {how} while running {request['path']}",
        details=last,
        hint=f"{memory}`edgedeploy verify {request['path']}` runs it once, without measuring",
    )


def describe() -> DeviceInfo:
    """This machine, as far as it tells."""
    return DeviceInfo(
        kind="local",
        name="local",
        serial="",
        model=_cpu_name(),
        abi=platform.machine(),
        os=f"{platform.system()} {platform.release()}",
        cores=os.cpu_count(),
    )


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
