"""The one table of backends: a file format, the runtime that runs it, and where both come from.

A new backend is a row here, an exporter (`exporters/to_<name>.py`), a Python session
(`benchmarks/executors/python_sessions.py`), and a class in `android_harness/runner/` that registers itself under the
runtime's name. Everything else (targets, doctor, bundles, extras) reads this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from .recipe import NumberFormat
from .registry import Registry


@dataclass(frozen=True)
class Package:
    """A Python package that a backend needs, and what for."""

    name: str
    purpose: str


@dataclass(frozen=True)
class NativeLibraries:
    """Where a runtime's C or C++ libraries come from.

    Attributes:
        distribution: the Python package that holds them.
        version: of the aarch64 wheel; this machine uses the installed one.
        arm_sha256: of the aarch64 wheel.
        libraries: the file in the package (a glob), and its name in a bundle, which is its SONAME.
        licences: globs in the package; `{info}` is its dist-info folder.
        headers: the include folder, for a runtime whose C++ interface needs a plug-in that is compiled here.
    """

    distribution: str
    version: str
    arm_sha256: str
    libraries: tuple[tuple[str, str], ...]
    licences: tuple[str, ...]
    headers: str | None = None


@dataclass(frozen=True)
class Backend:
    """A file format and the runtime that runs it.

    Attributes:
        name: as targets are called: "onnx" in "onnx-int8".
        runtime: as the runner's `--runtime` takes it.
        title: the runtime's name for people.
        file: the artifact's file name.
        extra: the extra of edgedeploy that installs it.
        formats: the number formats that its exporter can lower to.
        exporter: "module:function" of the exporter.
        session: "module:class" of the runtime's Python session.
        runtime_modules: the modules whose import, in this order, brings the runtime in.
        packages: what exporting and running need.
        native: the runtime's libraries.
        channels_last: images are NHWC in the format's own operators.
        converts_once: the exporter makes a float model once, and all number formats from it.
        lowering_time: roughly how long the exporter takes, compared with others; what takes longest starts first.
        mixes_formats: a file may hold more than one quantized number format.
    """

    name: str
    runtime: str
    title: str
    file: str
    extra: str
    formats: frozenset[NumberFormat]
    exporter: str
    session: str
    runtime_modules: tuple[str, ...]
    packages: tuple[Package, ...]
    native: NativeLibraries
    channels_last: bool = False
    converts_once: bool = True
    lowering_time: int = 1
    mixes_formats: bool = False

    def __str__(self) -> str:
        return self.name


def load_object(reference: str) -> Any:
    """The object that "module:name" refers to; its module is imported now."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def _executorch(name: str) -> tuple[str, str]:
    return f"executorch/lib/lib{name}.so", f"lib{name}.so"


_SESSIONS = "edgedeploy.benchmarks.executors.python_sessions"

BACKENDS: Registry[Backend] = Registry(
    "backend",
    (
        Backend(
            name="onnx",
            runtime="onnxruntime",
            title="ONNX Runtime",
            file="model.onnx",
            extra="onnx",
            formats=frozenset({NumberFormat.FLOAT32, NumberFormat.STATIC_INT8, NumberFormat.STATIC_UINT8_ACTIVATIONS}),
            exporter="edgedeploy.exporters.to_onnx:to_onnx",
            session=f"{_SESSIONS}:OnnxRuntimeSession",
            runtime_modules=("onnxruntime",),
            packages=(
                Package("onnx", "targets onnx-*"),
                Package("onnxscript", "targets onnx-*"),
                Package("onnxsim", "targets onnx-*"),
                Package("onnxruntime", "running targets onnx-*"),
            ),
            native=NativeLibraries(
                distribution="onnxruntime",
                version="1.31.1",
                arm_sha256="da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
                libraries=(("onnxruntime/capi/libonnxruntime.so.*", "libonnxruntime.so.1"),),
                licences=("onnxruntime/LICENSE", "onnxruntime/ThirdPartyNotices.txt"),
            ),
        ),
        Backend(
            name="executorch",
            runtime="executorch",
            title="ExecuTorch, XNNPACK",
            file="model.pte",
            extra="executorch",
            formats=frozenset({NumberFormat.FLOAT32, NumberFormat.STATIC_INT8}),
            exporter="edgedeploy.exporters.to_executorch:to_executorch",
            session=f"{_SESSIONS}:ExecuTorchSession",
            # Not portable_lib, which imports the compiler too: 3.5 s in each process. torch loads what _C is linked with.
            runtime_modules=("torch", "executorch.extension.pybindings._C"),
            packages=(
                Package("executorch", "targets executorch-*"),
                Package("torchao", "targets executorch-*"),
            ),
            native=NativeLibraries(
                distribution="executorch",
                version="1.5.1",
                arm_sha256="8ee02348a3ea80ddf770822911ebf78da616b73afce0fbaaa79f23311c88c66a",
                libraries=(
                    _executorch("executorch"),
                    _executorch("executorch_kernels_optimized"),
                    _executorch("executorch_kernels_quantized"),
                    _executorch("executorch_backend_xnnpack"),
                    _executorch("executorch_threadpool"),
                ),
                licences=("{info}/licenses/LICENSE",),
                headers="executorch/include",
            ),
            converts_once=False,
            lowering_time=5,
        ),
        Backend(
            name="tflite",
            runtime="litert",
            title="LiteRT",
            file="model.tflite",
            extra="tflite",
            formats=frozenset(NumberFormat) - {NumberFormat.STATIC_UINT8_ACTIVATIONS},
            exporter="edgedeploy.exporters.to_tflite:to_tflite",
            session=f"{_SESSIONS}:LiteRtSession",
            runtime_modules=("ai_edge_litert.interpreter",),
            packages=(
                Package("litert-torch", "targets tflite-*"),
                Package("ai-edge-quantizer", "targets tflite-* but fp32"),
                Package("ai-edge-litert", "running targets tflite-*"),
            ),
            native=NativeLibraries(
                distribution="ai-edge-litert",
                version="2.3.0",
                arm_sha256="853fc608f96da87bd5f3458465dfb9abbf18d5ae6b94eceacead407146f175ae",
                libraries=(("ai_edge_litert/libLiteRt.so", "libLiteRt.so"),),
                licences=("{info}/licenses/LICENSE",),
            ),
            channels_last=True,
            lowering_time=2,
            mixes_formats=True,
        ),
    ),
    name_of=str,
)

BY_RUNTIME: Registry[Backend] = Registry("runtime", BACKENDS, lambda backend: backend.runtime)
