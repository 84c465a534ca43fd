"""The child process that runs operators one by one: `python -m edgedeploy.pipeline.layers.worker FOLDER`.

It is a process of its own because a runtime may end it. The folder has a WorkerRequest, and the reference or the input of a
float file; the answer and the file's own outputs are written there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.results.layers import LayerError
from edgedeploy.core.storage.json_records import decode, encode

from .analysis import analyse
from .formats import open_steps
from .reference import Reference, of_file

REQUEST, ANSWER, OUTPUTS, SAMPLE = "request.json", "answer.json", "outputs.npz", "sample.npz"


@dataclass(frozen=True)
class WorkerRequest:
    """One file and what it is compared with.

    Attributes:
        runtime: of the file.
        path: the file.
        modules: the module path of each of its operators; empty where they are not known.
        channels_last: for each input whether the file takes NHWC where the reference has NCHW.
        reference: runtime and path of the float file whose values are the reference; None where the folder has these.
    """

    runtime: str
    path: str
    modules: tuple[tuple[str, str], ...]
    channels_last: tuple[bool, ...]
    reference: tuple[str, str] | None = None


@dataclass(frozen=True)
class WorkerAnswer:
    """What was found, or what went wrong."""

    layers: tuple[LayerError, ...] = ()
    without_counterpart: int = 0
    not_trusted: int = 0
    error: str = ""
    details: tuple[str, ...] = ()
    hint: str | None = None


def main(arguments: Sequence[str]) -> int:
    """Answers the request in a folder."""
    os.dup2(2, 1)
    folder = Path(arguments[0])
    request = decode((folder / REQUEST).read_bytes(), WorkerRequest)
    (folder / ANSWER).write_text(encode(_answer(request, folder)))
    return 0


def _answer(request: WorkerRequest, folder: Path) -> WorkerAnswer:
    try:
        file = open_steps(request.runtime, Path(request.path), request.modules)
        if request.reference is None:
            reference = Reference.load(folder)
        else:
            with np.load(folder / SAMPLE, allow_pickle=False) as stored:
                sample = [stored[str(index)] for index in range(len(stored.files))]
            float_file = open_steps(request.reference[0], Path(request.reference[1]), ())
            reference = of_file(float_file, sample)
        found = analyse(file, reference, request.channels_last)
    except EdgedeployError as error:
        return WorkerAnswer(error=error.message, details=error.details, hint=error.hint)
    np.savez(folder / OUTPUTS, **{str(index): value for index, value in enumerate(found.outputs)})  # type: ignore[arg-type]
    return WorkerAnswer(found.layers, found.without_counterpart, found.not_trusted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
