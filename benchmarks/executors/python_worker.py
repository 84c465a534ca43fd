"""The measuring child: `python -m edgedeploy.benchmarks.executors.python_worker`, one artifact, one runtime, one process.

A process of its own, so that runtimes do not share thread pools, allocators or a peak memory figure, and a runtime that
crashes takes nothing else with it.

stdin has one JSON request:

    {"runner", "path", "threads", "inputs": FILE.npz | null, "outputs": FILE.npz | null,
     "warmup_runs", "num_runs", "min_secs", "max_secs"}

`inputs` holds arrays named `<sample>_<input>`; every sample is run once and its outputs are saved under the same kind of
name; then the first sample is measured, `num_runs` times or for `min_secs`, whichever is longer, at most `max_secs`.

stdout gets one JSON line: {"ok": true, ...figures} or {"ok": false, "stage", "error", "hint"}.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.storage.files import sha256_of

from .python_sessions import Session, import_runtime


def main() -> int:
    """Answers the request on stdin; everything that runtimes print goes to stderr."""
    _end_with_parent()
    answer_fd = os.dup(1)
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    answer = answer_to(request)
    with os.fdopen(answer_fd, "w") as stdout:
        stdout.write(json.dumps(answer) + "\n")
    return 0 if answer["ok"] else 1


def _end_with_parent() -> None:
    """Asks Linux to end this process when its parent goes, however that happens."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG


def answer_to(request: dict[str, Any]) -> dict[str, Any]:
    """Runs one request; never raises for what a file or a runtime can do wrong."""
    stage = "load"
    try:
        runtime = import_runtime(request["runner"])
        start = time.perf_counter_ns()
        session = runtime.session(Path(request["path"]), int(request["threads"]))
        load_ns = time.perf_counter_ns() - start
        stage = "run"
        samples = _read_samples(Path(request["inputs"]))
        first_ns, results = _run_all(session, samples)
        if request.get("outputs"):
            np.savez(request["outputs"], **results)
        stage = "measure"
        session.set_inputs(samples[0])
        samples_ns = measure(session, request)
        return {
            "ok": True,
            "runtime_version": session.version,
            "note": session.note,
            "load_ns": load_ns,
            "first_inference_ns": first_ns,
            "samples_ns": samples_ns,
            "peak_rss_bytes": peak_rss_bytes(),
            "sha256": sha256_of(Path(request["path"])),
        }
    except EdgedeployError as error:
        return {"ok": False, "stage": stage, "error": error.message, "hint": error.hint}
    except Exception as error:  # a runtime may raise anything; the parent says it in the user's words
        return {"ok": False, "stage": stage, "error": f"{type(error).__name__}: {error}", "hint": None}


def measure(session: Session, request: dict[str, Any]) -> list[int]:
    """Nanoseconds of each counted invoke, after `warmup_runs` that are not counted."""
    clock = time.perf_counter_ns
    for _ in range(int(request["warmup_runs"])):
        session.invoke()
    samples: list[int] = []
    begin = clock()
    least, most = int(float(request["min_secs"]) * 1e9), int(float(request["max_secs"]) * 1e9)
    runs = int(request["num_runs"])
    while len(samples) < runs or clock() - begin < least:
        if runs == 0:
            break
        start = clock()
        session.invoke()
        samples.append(clock() - start)
        if clock() - begin > most:
            break
    return samples


def peak_rss_bytes() -> int:
    """The most memory that this process has held at once; ru_maxrss is in KiB on Linux and bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _read_samples(path: Path) -> list[list[Any]]:
    with np.load(path, allow_pickle=False) as file:
        names = sorted(tuple(map(int, name.split("_"))) for name in file.files)
        count = 1 + max(sample for sample, _ in names)
        return [[file[f"{s}_{i}"] for s, i in names if s == sample] for sample in range(count)]


def _run_all(session: Session, samples: list[list[Any]]) -> tuple[int, dict[str, Any]]:
    """Runs every sample once; the time of the very first invoke, and all outputs."""
    first_ns, results = 0, {}
    for index, arrays in enumerate(samples):
        session.set_inputs(arrays)
        start = time.perf_counter_ns()
        session.invoke()
        if index == 0:
            first_ns = time.perf_counter_ns() - start
        results.update({f"{index}_{number}": array for number, array in enumerate(session.outputs())})
    return first_ns, results


if __name__ == "__main__":
    sys.exit(main())
