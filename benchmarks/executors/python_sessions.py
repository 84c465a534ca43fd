"""The runtimes' Python bindings behind one interface: open a file, set inputs, invoke, get outputs.

Only `invoke` is timed. `core.backends` names the session of each runtime. A runtime is imported when a session is opened,
in the process that measures: importing this module imports none of them.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgedeploy.core.backends import BY_RUNTIME, load_object
from edgedeploy.core.errors import MissingExtra
from edgedeploy.core.parity import Array


class Session(Protocol):
    """A loaded artifact.

    Attributes:
        version: the runtime's own.
        note: what a reader of the memory figure must know, or "".
    """

    version: str
    note: str

    def set_inputs(self, arrays: Sequence[Array]) -> None:
        """Sets the inputs of the following inferences, in the file's order."""

    def invoke(self) -> None:
        """Runs one inference."""

    def outputs(self) -> list[Array]:
        """The outputs of the last inference."""


class OnnxRuntimeSession:
    """ONNX Runtime on the CPU provider; inputs and outputs are bound once, so that `invoke` copies nothing."""

    note = ""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        self.version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        self._kept: list[Array] = []

    def set_inputs(self, arrays: Sequence[Array]) -> None:
        self._kept = [np.ascontiguousarray(a) for a in arrays]
        for spec, array in zip(self.session.get_inputs(), self._kept, strict=True):
            self.binding.bind_cpu_input(spec.name, array)
        for spec in self.session.get_outputs():
            self.binding.bind_output(spec.name)

    def invoke(self) -> None:
        self.session.run_with_iobinding(self.binding)

    def outputs(self) -> list[Array]:
        return list(self.binding.copy_outputs_to_cpu())


class LiteRtSession:
    """LiteRT's interpreter with its default XNNPACK delegate."""

    note = ""

    def __init__(self, path: Path, threads: int) -> None:
        import ai_edge_litert
        from ai_edge_litert.interpreter import Interpreter

        self.version = getattr(ai_edge_litert, "__version__", "")
        self.interpreter = Interpreter(str(path), num_threads=threads)
        self.interpreter.allocate_tensors()
        self.inputs = self.interpreter.get_input_details()
        self.results = self.interpreter.get_output_details()

    def set_inputs(self, arrays: Sequence[Array]) -> None:
        for detail, array in zip(self.inputs, arrays, strict=True):
            self.interpreter.set_tensor(detail["index"], np.ascontiguousarray(array))

    def invoke(self) -> None:
        self.interpreter.invoke()

    def outputs(self) -> list[Array]:
        return [self.interpreter.get_tensor(detail["index"]) for detail in self.results]


class ExecuTorchSession:
    """ExecuTorch's Python binding. It exchanges torch tensors, so it imports torch itself."""

    note = "peak memory includes torch, which ExecuTorch's Python binding imports"

    def __init__(self, path: Path, threads: int) -> None:
        import torch
        from executorch.extension.pybindings import _C
        from executorch.version import __version__ as version

        self.version = version
        self.torch = torch
        torch.set_num_threads(1)
        _C._unsafe_reset_threadpool(threads)
        self.module = _C._load_for_executorch(str(path))
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def set_inputs(self, arrays: Sequence[Array]) -> None:
        self._inputs = [self.torch.from_numpy(np.ascontiguousarray(a)) for a in arrays]

    def invoke(self) -> None:
        self._outputs = self.module.forward(self._inputs)

    def outputs(self) -> list[Array]:
        return [tensor.numpy().copy() for tensor in self._outputs]


def import_runtime(runtime: str) -> Callable[[Path, int], Session]:
    """Imports a runtime, so that loading a file can be timed alone; returns its session class. Raises MissingExtra."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    backend = BY_RUNTIME[runtime]
    try:
        for module in backend.runtime_modules:
            importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(backend.extra, error.name or runtime, f"running with {runtime}") from error
    session: Callable[[Path, int], Session] = load_object(backend.session)
    return session
