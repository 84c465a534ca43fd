"""Runs a .tflite file in tflite-runtime and answers as the native runner does (PROTOCOL.md).

`environment.py` starts it with the Python of an environment that has tflite-runtime and NumPy 1, and no edgedeploy.
Beside the runner's arguments it takes --load-only: load the model, and stop. It has no `--profile`, `--cpu-mask` and
`--library`. A damaged model that crashes the runtime ends it without an `error` event.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from typing import Any

import numpy as np


def answer(**event: Any) -> None:
    os.write(ANSWER, (json.dumps(event) + "\n").encode())


class Failure(Exception):
    """Stage and message of the `error` event."""


def read_tensors(path: str) -> list[Any]:
    try:
        with open(path, "rb") as file:
            header, _, data = file.read().partition(b"\n\n")
    except OSError as error:
        raise Failure("inputs", f"{path}: {error.strerror}") from error
    first, *lines = header.decode("ascii", "replace").split("\n")
    if first != "edgedeploy-tensors 1":
        raise Failure("inputs", f"{path} is not a tensor file")
    tensors, offset = [], 0
    for line in lines:
        name, _rank, *lengths = line.split(" ")
        dtype, shape = np.dtype(name), tuple(map(int, lengths))
        count = int(np.prod(shape, dtype=np.int64))
        tensors.append(np.frombuffer(data, dtype, count, offset).reshape(shape))
        offset += count * dtype.itemsize
    return tensors


def write_tensors(path: str, tensors: list[Any]) -> None:
    with open(path + ".tmp", "wb") as file:
        file.write(b"edgedeploy-tensors 1\n")
        for tensor in tensors:
            file.write((" ".join([tensor.dtype.name, str(tensor.ndim), *map(str, tensor.shape)]) + "\n").encode())
        file.write(b"\n")
        for tensor in tensors:
            file.write(np.ascontiguousarray(tensor).tobytes())
    os.replace(path + ".tmp", path)


def describe(details: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"name": d["name"], "dtype": np.dtype(d["dtype"]).name, "shape": [int(n) for n in d["shape"]]} for d in details
    ]


def set_inputs(interpreter: Any, tensors: list[Any]) -> None:
    details = interpreter.get_input_details()
    for detail, tensor in zip(details, tensors):  # noqa: B905 - Python 3.9 has no strict zip
        if tensor.dtype != detail["dtype"] or tensor.shape != tuple(detail["shape"]):
            wanted = f"{np.dtype(detail['dtype']).name}{list(map(int, detail['shape']))}"
            given = f"{tensor.dtype.name}{list(tensor.shape)}"
            raise Failure("inputs", f"'{detail['name']}' is {wanted}, given was {given}")
        interpreter.set_tensor(detail["index"], tensor)


def measure(interpreter: Any, phase: str, num_runs: int, min_secs: float, max_secs: float) -> None:
    start_ns: list[int] = []
    ns: list[int] = []
    begin = time.monotonic()
    while True:
        elapsed = time.monotonic() - begin
        if (len(ns) >= num_runs and elapsed >= min_secs) or (ns and elapsed >= max_secs) or len(ns) == 1_000_000:
            break
        start = time.monotonic_ns()
        interpreter.invoke()
        end = time.monotonic_ns()
        start_ns.append(start)
        ns.append(end - start)
    not_available = dict.fromkeys(("cpu_before", "cpu_after", "khz_before", "khz_after"))
    answer(event="samples", phase=phase, start_ns=start_ns, ns=ns, **not_available)


def peak_rss_bytes() -> int:
    with open("/proc/self/status") as status:  # ru_maxrss begins at what the starting process had
        for line in status:
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(options: argparse.Namespace) -> None:
    from importlib.metadata import version

    from tflite_runtime.interpreter import Interpreter  # type: ignore[import-not-found]

    answer(
        event="start",
        protocol=1,
        runtime=options.runtime,
        runtime_version=version("tflite-runtime"),
        abi={"x86_64": "x86-64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
        pid=os.getpid(),
        threads=options.threads,
        unix_ns=time.time_ns(),
        monotonic_ns=time.monotonic_ns(),
        peak_rss_bytes=peak_rss_bytes(),
    )
    begin = time.monotonic_ns()
    try:
        interpreter = Interpreter(options.model, num_threads=options.threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise Failure("load", f"tflite-runtime: {error}") from error
    load_ns = time.monotonic_ns() - begin
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    answer(event="loaded", load_ns=load_ns, inputs=describe(inputs), outputs=describe(outputs))
    if not options.load_only:
        run_loaded(interpreter, options)
    answer(event="done", peak_rss_bytes=peak_rss_bytes())


def run_loaded(interpreter: Any, options: argparse.Namespace) -> None:
    tensors = read_tensors(options.inputs)
    each = len(interpreter.get_input_details())
    if not tensors or len(tensors) % each:
        raise Failure(
            "inputs",
            f"the model takes {each} inputs, the file holds {len(tensors)}, which is not a whole number of sets",
        )
    set_inputs(interpreter, tensors[:each])
    measure(interpreter, "first", 1, 0, 0)
    measure(interpreter, "warmup", options.warmup_runs, 0, options.max_secs)
    measure(interpreter, "run", options.num_runs, options.min_secs, options.max_secs)
    if options.outputs:
        made = []
        for first in range(0, len(tensors), each):
            set_inputs(interpreter, tensors[first : first + each])
            interpreter.invoke()
            made += [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
        write_tensors(options.outputs, made)


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("--runtime", "--model"):
        parser.add_argument(name, required=True)
    for name in ("--inputs", "--outputs", "--scratch"):
        parser.add_argument(name)
    for name, default in (("--threads", 1), ("--warmup-runs", 1), ("--num-runs", 50)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--min-secs", type=float, default=0.0)
    parser.add_argument("--max-secs", type=float, default=150.0)
    parser.add_argument("--load-only", action="store_true")
    try:
        run(parser.parse_args())
    except Failure as failure:
        stage, message = failure.args
    except Exception as error:  # whatever it is, the answer must report it
        stage, message = "run", f"{type(error).__name__}: {error}"
    else:
        return 0
    answer(event="error", stage=stage, message=message)
    return 3


if __name__ == "__main__":
    ANSWER = os.dup(1)
    os.dup2(2, 1)  # what a runtime prints is not part of the answer
    sys.exit(main())
