"""Tiny models: a 3x3 convolution of 8 into 16 channels on 16x16, and the mean of the input's planes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.once import made_once

RUNTIMES = ("onnxruntime", "executorch", "litert")
MACS = 16 * 8 * 3 * 3 * 16 * 16
_SUFFIX = {"onnxruntime": "onnx", "onnxruntime-int8": "onnx", "executorch": "pte", "litert": "tflite"}


@dataclass(frozen=True)
class Artifact:
    """A model file, inputs for it, and the outputs that the runtime gives in Python."""

    runtime: str
    path: Path
    inputs: list[np.ndarray]
    outputs: list[np.ndarray]


def once(name: str, factory: pytest.TempPathFactory) -> Artifact:
    """The model of `make`, made once for all workers of a test run."""

    def make_here(folder: Path) -> None:
        made = make(name, folder)
        np.savez(folder / "inputs.npz", *made.inputs)
        np.savez(folder / "outputs.npz", *made.outputs)

    folder = made_once(f"tiny-{name}", factory, make_here)
    inputs, outputs = (list(np.load(folder / f"{kind}.npz").values()) for kind in ("inputs", "outputs"))
    return Artifact(name.removesuffix("-int8"), path_of(name, folder), inputs, outputs)


def path_of(name: str, folder: Path) -> Path:
    return folder / f"model.{_SUFFIX[name]}"


def make(name: str, folder: Path) -> Artifact:
    """Makes the model file in `folder`, and runs it in Python."""
    path = path_of(name, folder)
    inputs = _int8_inputs() if name == "onnxruntime-int8" else [_random((1, 8, 16, 16))]
    makers = {
        "onnxruntime": _onnx_float,
        "onnxruntime-int8": _onnx_int8,
        "executorch": _executorch,
        "litert": _litert,
    }
    makers[name](path)
    run = {"executorch": _run_executorch, "litert": _run_litert}.get(name, _run_onnx)
    return Artifact(name, path, inputs, run(path, inputs))


def _random(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def _int8_inputs() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(-128, 128, (1, 8, 16, 16), np.int8), rng.integers(-9, 9, (3, 2), np.int64)]


def _save_onnx(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any]) -> None:
    import onnx

    graph = onnx.helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)


def _onnx_float(path: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper

    _save_onnx(
        path,
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["y"], name="relu"),
            helper.make_node("ReduceMean", ["x", "axes"], ["m"], name="mean", keepdims=0),
        ],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 16, 16])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, 16, 16]),
            helper.make_tensor_value_info("m", TensorProto.FLOAT, [1, 8]),
        ],
        [
            numpy_helper.from_array(_random((16, 8, 3, 3)), "w"),
            numpy_helper.from_array(np.array([2, 3], np.int64), "axes"),
        ],
    )


def _onnx_int8(path: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(2).integers(-127, 128, (16, 8, 3, 3), np.int8)
    zero = np.array(0, np.int8)
    constants = {
        "xs": np.array(0.1, np.float32),
        "xz": zero,
        "w": weights,
        "ws": np.full(16, 0.02, np.float32),
        "wz": np.zeros(16, np.int8),
        "ys": np.array(1.0, np.float32),
        "yz": zero,
    }
    _save_onnx(
        path,
        [
            helper.make_node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"], pads=[1, 1, 1, 1]),
            helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT16),
        ],
        [
            helper.make_tensor_value_info("x", TensorProto.INT8, [1, 8, 16, 16]),
            helper.make_tensor_value_info("i", TensorProto.INT64, ["n", 2]),
        ],
        [
            helper.make_tensor_value_info("y", TensorProto.INT8, [1, 16, 16, 16]),
            helper.make_tensor_value_info("f", TensorProto.FLOAT16, ["n", 2]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )


def _torch_module() -> Any:
    import torch

    class Tiny(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(8, 16, 3, padding=1)

        def forward(self, x):
            return torch.relu(self.conv(x)), x.mean((2, 3))

    torch.manual_seed(0)
    return Tiny().eval()


def _executorch(path: Path) -> None:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    program = torch.export.export(_torch_module(), (torch.zeros(1, 8, 16, 16),))
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)


def _litert(path: Path) -> None:
    import litert_torch
    import torch

    litert_torch.convert(_torch_module(), (torch.zeros(1, 8, 16, 16),)).export(str(path))


def multiples_litert(path: Path, numbers: Sequence[int]) -> Path:
    """For each number an input of that many values, multiplied by the number."""
    import litert_torch
    import torch

    class Multiples(torch.nn.Module):
        def forward(self, *values):
            return tuple(value * float(number) for number, value in zip(numbers, values, strict=True))

    litert_torch.convert(Multiples().eval(), tuple(torch.zeros(1, n) for n in numbers)).export(str(path))
    return path


def _run_onnx(path: Path, inputs: list[np.ndarray]) -> list[np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return list(session.run(None, dict(zip(names, inputs, strict=True))))


def _run_executorch(path: Path, inputs: list[np.ndarray]) -> list[np.ndarray]:
    import torch
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(path).load_method("forward")
    return [tensor.numpy().copy() for tensor in method.execute([torch.from_numpy(value) for value in inputs])]


def _run_litert(path: Path, inputs: list[np.ndarray]) -> list[np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
