"""The three runtimes behind one small interface: open a file, put inputs in, invoke, take outputs out.

Only `invoke` is what a benchmark times. A runtime is imported when its session is opened, in the process that runs it.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgedeploy.core.errors import MissingExtra

Array = NDArray[Any]


class Session(Protocol):
    """A loaded artifact.

    `version` is the runtime's own. `note` says what a reader of the memory figure must know, or is empty.
    """

    version: str
    note: str

    def set_inputs(self, arrays: Sequence[Array]) -> None: ...

    def invoke(self) -> None: ...

    def outputs(self) -> list[Array]: ...


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
    """ExecuTorch's Python binding. It exchanges torch tensors, so this process holds torch, and its memory says so."""

    note = "peak memory includes torch, which ExecuTorch's Python binding imports"

    def __init__(self, path: Path, threads: int) -> None:
        import torch
        from executorch.extension.pybindings import portable_lib
        from executorch.version import __version__ as version

        self.version = version
        self.torch = torch
        torch.set_num_threads(1)
        portable_lib._unsafe_reset_threadpool(threads)
        self.module = portable_lib._load_for_executorch(str(path))
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def set_inputs(self, arrays: Sequence[Array]) -> None:
        self._inputs = [self.torch.from_numpy(np.ascontiguousarray(a)) for a in arrays]

    def invoke(self) -> None:
        self._outputs = self.module.forward(self._inputs)

    def outputs(self) -> list[Array]:
        return [tensor.numpy().copy() for tensor in self._outputs]


@dataclass(frozen=True)
class Runtime:
    """A runtime: its session, the module whose import brings it in, and the extra that installs it."""

    session: Callable[[Path, int], Session]
    module: str
    extra: str


RUNTIMES: dict[str, Runtime] = {
    "onnxruntime": Runtime(OnnxRuntimeSession, "onnxruntime", "onnx"),
    "litert": Runtime(LiteRtSession, "ai_edge_litert.interpreter", "tflite"),
    "executorch": Runtime(ExecuTorchSession, "executorch.extension.pybindings.portable_lib", "executorch"),
}


def import_runtime(runner: str) -> Runtime:
    """Brings the runtime into this process, so that loading a file can be timed alone. Raises MissingExtra."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    runtime = RUNTIMES[runner]
    try:
        importlib.import_module(runtime.module)
    except ImportError as error:
        raise MissingExtra(runtime.extra, error.name or runner, f"running with {runner}") from error
    return runtime
