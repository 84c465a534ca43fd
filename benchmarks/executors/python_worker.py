"""The measuring child process: `python -m edgedeploy.benchmarks.executors.python_worker`, one artifact in one runtime.

It is a process of its own, so that runtimes do not share thread pools, allocators or a peak memory figure, and so that a
runtime that crashes ends nothing else.

stdin has a WorkerRequest as JSON. Every sample is run once and its outputs are saved; then the first sample is measured,
`num_runs` times or for `min_secs`, whichever is longer, at most `max_secs`. The last line of stdout is a WorkerAnswer as
JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.parity import Array
from edgedeploy.core.storage.json_records import decode, encode_line

from .base import RunOptions
from .python_protocol import WorkerAnswer, WorkerFailure, WorkerRequest, WorkerResult
from .python_sessions import Session, import_runtime


def main() -> int:
    """Answers the request on stdin; everything that runtimes print goes to stderr."""
    _end_with_parent()
    answer_fd = os.dup(1)
    os.dup2(2, 1)
    answer = answer_to(decode(sys.stdin.buffer.read(), WorkerRequest))
    with os.fdopen(answer_fd, "w") as stdout:
        stdout.write(encode_line(answer) + "\n")
    return 0 if answer.failure is None else 1


def _end_with_parent() -> None:
    """Asks Linux to end this process when its parent ends, however that happens."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG


def answer_to(request: WorkerRequest) -> WorkerAnswer:
    """Runs one request; never raises for what a file or a runtime can do wrong."""
    stage = "load"
    try:
        open_session = import_runtime(request.runtime)
        start = time.perf_counter_ns()
        session = open_session(Path(request.path), request.options.threads)
        load_ns = time.perf_counter_ns() - start
        stage = "run"
        samples = _read_samples(Path(request.inputs))
        first_ns, outputs = _run_all(session, samples)
        np.savez(request.outputs, **outputs)
        stage = "measure"
        session.set_inputs(samples[0])
        samples_ns = measure(session, request.options)
        return WorkerAnswer(
            result=WorkerResult(
                runtime_version=session.version,
                note=session.note,
                load_ns=load_ns,
                first_inference_ns=first_ns,
                samples_ns=samples_ns,
                peak_rss_bytes=peak_rss_bytes(),
            )
        )
    except EdgedeployError as error:
        return WorkerAnswer(failure=WorkerFailure(stage, error.message, error.hint))
    except Exception as error:  # a runtime may raise anything; the parent makes it a RunnerFailed
        return WorkerAnswer(failure=WorkerFailure(stage, f"{type(error).__name__}: {error}"))


def measure(session: Session, options: RunOptions) -> tuple[int, ...]:
    """Nanoseconds of each counted inference, after `warmup_runs` that are not counted."""
    clock = time.perf_counter_ns
    for _ in range(options.warmup_runs):
        session.invoke()
    samples: list[int] = []
    begin = clock()
    least_ns, most_ns = int(options.min_secs * 1e9), int(options.max_secs * 1e9)
    while len(samples) < options.num_runs or clock() - begin < least_ns:
        if options.num_runs == 0:
            break
        start = clock()
        session.invoke()
        samples.append(clock() - start)
        if clock() - begin > most_ns:
            break
    return tuple(samples)


def peak_rss_bytes() -> int:
    """The largest resident memory of this process so far.

    On Linux VmHWM: ru_maxrss begins at what the process that started this one had. On macOS that one, in bytes.
    """
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _read_samples(path: Path) -> list[list[Array]]:
    with np.load(path, allow_pickle=False) as file:
        names = sorted(tuple(map(int, name.split("_"))) for name in file.files)
        count = 1 + max(sample for sample, _ in names)
        return [[file[f"{s}_{i}"] for s, i in names if s == sample] for sample in range(count)]


def _run_all(session: Session, samples: list[list[Array]]) -> tuple[int, dict[str, Any]]:
    """Runs every sample once; the time of the very first inference, and all outputs."""
    first_ns = 0
    results: dict[str, Any] = {}
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
