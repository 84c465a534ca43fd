"""What python_process.py asks python_worker.py, and what that answers: one JSON record each way."""

from __future__ import annotations

from dataclasses import dataclass

from .base import RunOptions


@dataclass(frozen=True)
class WorkerRequest:
    """One artifact in one runtime.

    Attributes:
        path: the artifact.
        inputs: an .npz file of arrays named `<sample>_<input>`, both numbered from 0.
        outputs: the .npz file to write, with arrays named `<sample>_<output>`.
    """

    runtime: str
    path: str
    inputs: str
    outputs: str
    options: RunOptions


@dataclass(frozen=True)
class WorkerResult:
    """What was measured. `note`: what a reader of the memory figure must know, or ""."""

    runtime_version: str
    note: str
    load_ns: int
    first_inference_ns: int
    samples_ns: tuple[int, ...]
    peak_rss_bytes: int


@dataclass(frozen=True)
class WorkerFailure:
    """What went wrong, and in which stage: "load", "run" or "measure". `hint` is None for an error of the runtime."""

    stage: str
    error: str
    hint: str | None = None


@dataclass(frozen=True)
class WorkerAnswer:
    """One of the two is there."""

    result: WorkerResult | None = None
    failure: WorkerFailure | None = None
