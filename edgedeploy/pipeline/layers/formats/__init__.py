"""Which formats can be run operator by operator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgedeploy.core.backends import BY_RUNTIME
from edgedeploy.core.errors import MissingExtra, UsageError

from .steps import StepFile

RUNTIMES = ("litert", "onnxruntime")
RUNTIME_OF = {".tflite": "litert", ".onnx": "onnxruntime"}


def open_steps(runtime: str, path: Path, modules: Sequence[tuple[str, str]]) -> StepFile:
    """The operators of a file.

    Args:
        modules: name and module path of each operator, in the file's order; empty where they are not known.

    Raises UsageError for a runtime that runs whole files only, and for a damaged file; MissingExtra.
    """
    if runtime not in RUNTIMES:
        raise UsageError(f"{runtime} does not run operators one by one")
    try:
        return _opened(runtime, path.read_bytes(), modules)
    except ImportError as error:
        extra = BY_RUNTIME[runtime].extra
        raise MissingExtra(extra, error.name or extra, f"reading {path.suffix} files") from error
    except Exception as error:  # a damaged file: the parsers raise many kinds
        raise UsageError(f"{path} cannot be read as a {path.suffix} file", details=[str(error)[:200]]) from error


def _opened(runtime: str, content: bytes, modules: Sequence[tuple[str, str]]) -> StepFile:
    if runtime == "litert":
        from .tflite_steps import TfliteSteps

        by_index = {index: module for index, (_, module) in enumerate(modules)}
        return TfliteSteps(content, by_index if modules else None)
    from .onnx_steps import OnnxSteps

    return OnnxSteps(content, dict(modules) if modules else None)
