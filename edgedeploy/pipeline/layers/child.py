"""Asks the child process that runs operators one by one; see worker.py."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgedeploy.core.artifact import NHWC
from edgedeploy.core.child_processes import child_environment, module_command
from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.parity import Array
from edgedeploy.core.provenance import OperatorFact
from edgedeploy.core.spec import TensorSpec
from edgedeploy.core.storage.files import private_folder
from edgedeploy.core.storage.json_records import RecordInvalid, decode, encode

from .reference import Reference
from .worker import ANSWER, OUTPUTS, REQUEST, SAMPLE, WorkerAnswer, WorkerRequest


def request_for(
    runtime: str, path: Path, operators: Sequence[OperatorFact], inputs: Sequence[TensorSpec]
) -> WorkerRequest:
    """What the child process is asked about a file of ours."""
    modules = tuple((fact.name, fact.module) for fact in operators)
    return WorkerRequest(runtime, str(path.absolute()), modules, tuple(spec.layout == NHWC for spec in inputs))


def ask(request: WorkerRequest, given: Reference | Sequence[Array]) -> tuple[WorkerAnswer, list[Array]]:
    """The worker's answer and the file's outputs. Raises RunnerFailed."""
    with private_folder() as folder:
        (folder / REQUEST).write_text(encode(request))
        if isinstance(given, Sequence):
            np.savez(folder / SAMPLE, **{str(index): value for index, value in enumerate(given)})  # type: ignore[arg-type]
        else:
            given.save(folder)
        done = subprocess.run(
            module_command("edgedeploy.pipeline.layers.worker", str(folder)),
            capture_output=True,
            text=True,
            errors="replace",
            env=child_environment() | {"TF_CPP_MIN_LOG_LEVEL": "2"},
        )
        try:
            answer = decode((folder / ANSWER).read_bytes(), WorkerAnswer)
        except (OSError, RecordInvalid):
            how = f"was ended by {signal.Signals(-done.returncode).name}" if done.returncode < 0 else "failed"
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise RunnerFailed(
                f"{request.runtime} {how} while it ran {request.path} operator by operator", details=lines[-4:]
            ) from None
        if answer.error:
            raise RunnerFailed(answer.error, details=answer.details, hint=answer.hint)
        with np.load(folder / OUTPUTS, allow_pickle=False) as file:
            return answer, [file[str(index)] for index in range(len(file.files))]
