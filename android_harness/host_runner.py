"""Runs an artifact on this machine in the native runner: the same loop as on a phone."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.parity import Array
from edgedeploy.core.storage.files import private_folder

from .bundles import Bundle
from .protocol import RunnerAnswer, RunnerPaths, RunRequest, parse_answer
from .tensor_files import read_tensors, write_tensors

# The runner's whole environment. Telemetry is off wherever ONNX Runtime starts.
ENVIRONMENT = {"ORT_DISABLE_TELEMETRY": "1", "LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

InputSets = Sequence[Sequence[Array]]
Command = list[str]


@dataclass(frozen=True)
class HostRun:
    """The answer, and the outputs of each set of inputs (empty where they were not asked for)."""

    answer: RunnerAnswer
    outputs: list[list[Array]]


@dataclass(frozen=True)
class HostRunOptions:
    """How the runner is started on this machine.

    Attributes:
        want_outputs: False leaves out the extra run that writes the outputs.
        timeout_s: seconds after which the run is given up; None for the longest that the request can take.
        wrap: turns the command into another one, such as an emulator's.
    """

    want_outputs: bool = True
    timeout_s: float | None = None
    wrap: Callable[[Command], Command] = list


def run_on_host(
    bundle: Bundle,
    model: Path | None,
    input_sets: InputSets,
    request: RunRequest | None = None,
    options: HostRunOptions | None = None,
) -> HostRun:
    """Measures with the first set of inputs; the outputs are those of every set, from runs of their own.

    Args:
        bundle: of this machine's ABI, unless `options.wrap` emulates another.
        model: the artifact; None for the null runtime.
        input_sets: one or more sets, each with the model's inputs in the model's order.

    Raises RunnerFailed. The runner is gone when this returns, however it returns.
    """
    request, options = request or RunRequest(), options or HostRunOptions()
    what = f"the {bundle.runtime} runner ({bundle.abi})"
    with private_folder() as folder:
        inputs, outputs = folder / "inputs.bin", folder / "outputs.bin"
        write_tensors(inputs, [tensor for one_set in input_sets for tensor in one_set])
        paths = RunnerPaths(
            inputs=str(inputs),
            model=None if model is None else str(model.resolve()),
            outputs=str(outputs) if options.want_outputs else None,
            scratch=str(folder),
        )
        command = options.wrap([*bundle.command(), *request.arguments(bundle.runtime, paths)])
        timeout_s = request.timeout_s if options.timeout_s is None else options.timeout_s
        done = _run(command, str(folder), timeout_s, what)
        answer = parse_answer(done.stdout, exit_code=done.returncode, stderr=done.stderr, what=what)
        tensors = read_tensors(outputs) if options.want_outputs else []
    return HostRun(answer, split_outputs(tensors, len(input_sets)))


def _run(command: Command, folder: str, timeout_s: float, what: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=ENVIRONMENT,
            cwd=folder,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        printed = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else ""
        last_line = [line[:160] for line in printed.splitlines()[-1:]]
        raise RunnerFailed(f"{what} gave no answer within {timeout_s:g} s", details=last_line) from None
    except OSError as error:
        raise RunnerFailed(f"{what} could not be started: {error.strerror}", details=[command[0]]) from error


def split_outputs(tensors: list[Array], sets: int) -> list[list[Array]]:
    """The outputs of each of `sets` sets of inputs. Raises RunnerFailed where they do not divide evenly."""
    if not tensors:
        return []
    if sets == 0 or len(tensors) % sets:
        raise RunnerFailed(f"the runner wrote {len(tensors)} outputs for {sets} sets of inputs")
    each = len(tensors) // sets
    return [tensors[first : first + each] for first in range(0, len(tensors), each)]
