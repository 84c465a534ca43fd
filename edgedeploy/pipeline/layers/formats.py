"""Which formats can be run operator by operator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgedeploy.core.errors import UsageError

from .steps import StepFile

RUNTIMES = ("litert", "onnxruntime")
RUNTIME_OF = {".tflite": "litert", ".onnx": "onnxruntime"}


def open_steps(runtime: str, path: Path, modules: Sequence[tuple[str, str]]) -> StepFile:
    """The operators of a file.

    Args:
        modules: name and module path of each operator, in the file's order; empty where they are not known.

    Raises UsageError for a runtime that runs whole files only.
    """
    if runtime == "litert":
        from .tflite_steps import TfliteSteps

        by_index = {index: module for index, (_, module) in enumerate(modules)}
        return TfliteSteps(path.read_bytes(), by_index if modules else None)
    if runtime == "onnxruntime":
        from .onnx_steps import OnnxSteps

        return OnnxSteps(path.read_bytes(), dict(modules) if modules else None)
    raise UsageError(f"{runtime} does not run operators one by one")
