"""Runs an artifact on this machine in the native runner: the same loop as on a phone."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.parity import Array

from .bundles import Bundle
from .protocol import RunnerAnswer, RunRequest, parse_answer
from .tensor_files import read_tensors, write_tensors

# Everything the runner sees of the environment. Telemetry is off wherever ONNX Runtime starts.
ENVIRONMENT = {"ORT_DISABLE_TELEMETRY": "1", "LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

InputSets = Sequence[Sequence[Array]]
Command = list[str]


@dataclass(frozen=True)
class LocalRun:
    """The answer, and the outputs of each set of inputs (empty where they were not asked for)."""

    answer: RunnerAnswer
    outputs: list[list[Array]]


def run_locally(
    bundle: Bundle,
    model: Path | None,
    input_sets: InputSets,
    request: RunRequest | None = None,
    *,
    want_outputs: bool = True,
    timeout_s: float | None = None,
    wrap: Callable[[Command], Command] = list,
) -> LocalRun:
    """Measures with the first set of inputs; the outputs are those of every set, from runs of their own.

    Args:
        bundle: of this machine's ABI, unless `wrap` emulates another.
        model: the artifact; None for the null runtime.
        input_sets: one or more sets, each with the model's inputs in the model's order.
        request: how to run; a default one without it.
        want_outputs: False leaves the extra run for the outputs out.
        timeout_s: when to give up; by default what the request can take at most.
        wrap: turns the command into another one, such as an emulator's.

    Raises RunnerFailed. The runner is gone when this returns, however it returns.
    """
    request = request or RunRequest()
    timeout_s = request.timeout_s if timeout_s is None else timeout_s
    what = f"the {bundle.runtime} runner ({bundle.abi})"
    with tempfile.TemporaryDirectory(prefix="edgedeploy-run-") as folder:
        scratch = Path(folder)
        inputs, outputs = scratch / "inputs.bin", scratch / "outputs.bin"
        write_tensors(inputs, [tensor for one_set in input_sets for tensor in one_set])
        arguments = request.arguments(
            bundle.runtime,
            model=None if model is None else str(model.resolve()),
            inputs=str(inputs),
            outputs=str(outputs) if want_outputs else None,
            scratch=folder,
        )
        command = wrap([*bundle.command(), *arguments])
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                env=ENVIRONMENT,
                cwd=folder,
            )
        except subprocess.TimeoutExpired as error:
            seen = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else ""
            last = [line[:160] for line in seen.splitlines()[-1:]]
            raise RunnerFailed(f"{what} gave no answer within {timeout_s:g} s", details=last) from None
        except OSError as error:
            raise RunnerFailed(f"{what} could not be started: {error.strerror}", details=[command[0]]) from error
        answer = parse_answer(done.stdout, exit_code=done.returncode, stderr=done.stderr, what=what)
        tensors = read_tensors(outputs) if want_outputs else []
    return LocalRun(answer, by_set(tensors, len(input_sets)))


def by_set(tensors: list[Array], sets: int) -> list[list[Array]]:
    """The outputs of each set of inputs. Raises RunnerFailed where they are no whole number each."""
    if not tensors:
        return []
    if sets == 0 or len(tensors) % sets:
        raise RunnerFailed(f"the runner wrote {len(tensors)} outputs for {sets} sets of inputs")
    each = len(tensors) // sets
    return [tensors[first : first + each] for first in range(0, len(tensors), each)]
