"""A small network in files, and faults that are planted into these files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgedeploy.core.backends import BACKENDS, load_object
from edgedeploy.core.provenance import OperatorFact
from edgedeploy.core.recipe import QuantRecipe
from edgedeploy.core.recipes import FP32, STATIC_INT8
from edgedeploy.exporters.job import ExportJob, SharedWork
from edgedeploy.exporters.tflite_file import read_tree, written
from edgedeploy.models.rewrites import capture

LAYERS = {"stem", "block.first", "block.second", "head"}
RESIZE = "up"
SIZE = 16


class Enlarge(nn.Module):
    """A bilinear resize by 2."""

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class Block(nn.Module):
    """A depthwise and a pointwise convolution beside the input."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.act = nn.ReLU()
        self.second = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.act(self.first(x)))


class Network(nn.Module):
    """A convolution, a residual block, a resize, a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.relu = nn.ReLU()
        self.block = Block()
        self.up = Enlarge()
        self.head = nn.Conv2d(8, 5, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.up(self.block(self.relu(self.stem(x)))))


@dataclass(frozen=True)
class File:
    """A file of the network, with the operators that its exporter has listed."""

    runtime: str
    content: bytes
    operators: tuple[OperatorFact, ...]


class Files:
    """The network's files, each made once; `module` is what they were made of, `image` an input."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(0)
        rng = np.random.default_rng(0)
        samples = [rng.standard_normal((1, 3, SIZE, SIZE), dtype=np.float32) for _ in range(5)]
        self.image, self._calibration = samples[0], [(sample,) for sample in samples[1:]]
        example = torch.from_numpy(self.image)
        self.module = capture(Network().eval(), (example,))
        self._folder, self._example = folder, example
        self._shared = SharedWork(folder, folder / "log")
        self._made: dict[tuple[str, str], File] = {}

    def get(self, backend: str, recipe: QuantRecipe) -> File:
        """The file of a backend in float or int8."""
        key = backend, recipe.name
        if key not in self._made:
            path = self._folder / f"{recipe}-{BACKENDS[backend].file}"
            samples = self._calibration if recipe.needs_calibration else []
            job = ExportJob(self.module, (self._example,), ("image",), ("map",), recipe, samples, path, self._shared)
            lowered = load_object(BACKENDS[backend].exporter)(job)
            self._made[key] = File(BACKENDS[backend].runtime, path.read_bytes(), lowered.operators)
        return self._made[key]


@dataclass(frozen=True)
class Plant:
    """A fault: what it is, the module that it is in, and the function that changes the file."""

    name: str
    backend: str
    recipe: QuantRecipe
    module: str
    change: Callable[[File, str], bytes]

    def __str__(self) -> str:
        return f"{self.name} in {self.module} of {self.backend} {self.recipe}"


def plants() -> list[Plant]:
    """20 of them: weights and scales of layers, and the mode of the resize."""
    found = []
    for backend, weight, scale, resize in (
        ("tflite", _tflite_weight, _tflite_scale, _tflite_resize),
        ("onnx", _onnx_weight, _onnx_scale, _onnx_resize),
    ):
        for recipe in (FP32, STATIC_INT8):
            found += [
                Plant("another weight", backend, recipe, layer, weight) for layer in ("stem", "block.first", "head")
            ]
            found.append(Plant("another mode", backend, recipe, RESIZE, resize))
        found += [Plant("another scale", backend, STATIC_INT8, layer, scale) for layer in ("stem", "block.second")]
    return found


def _index(file: File, module: str, *types: str) -> int:
    return next(i for i, fact in enumerate(file.operators) if fact.module == module and fact.type in types)


def _tflite_weights(file: File, module: str) -> tuple[Any, Any]:
    """The file's tree and the weight tensor of a layer."""
    tree = read_tree(file.content)
    op = tree.subgraphs[0].operators[_index(file, module, "CONV_2D", "DEPTHWISE_CONV_2D")]
    return tree, tree.subgraphs[0].tensors[op.inputs[1]]


def _tflite_weight(file: File, module: str) -> bytes:
    """The sign of the weights of one output channel."""
    tree, tensor = _tflite_weights(file, module)
    kind = np.float32 if file.operators[0].dtype == "float32" and tensor.quantization.scale is None else np.int8
    values = np.array(tree.buffers[tensor.buffer].data, np.uint8).view(kind).reshape(tensor.shape).copy()
    if values.shape[0] == 1:  # depthwise: the channel is the last dimension
        values[..., 2] *= -1
    else:
        values[2] *= -1
    tree.buffers[tensor.buffer].data = values.reshape(-1).view(np.uint8)
    return written(tree)


def _tflite_scale(file: File, module: str) -> bytes:
    """Twice the scale of one output channel."""
    tree, tensor = _tflite_weights(file, module)
    scales = np.array(tensor.quantization.scale, np.float32)
    scales[1] *= 2
    tensor.quantization.scale = scales
    return written(tree)


def _tflite_resize(file: File, module: str) -> bytes:
    tree = read_tree(file.content)
    op = tree.subgraphs[0].operators[_index(file, module, "RESIZE_BILINEAR")]
    op.builtinOptions.halfPixelCenters, op.builtinOptions.alignCorners = False, True
    return written(tree)


def _onnx_constant(file: File, module: str, input: int) -> tuple[Any, Any]:
    """The model, and the weights of a layer (input 0 of their DequantizeLinear) or their scales (1)."""
    model = onnx.load_from_string(file.content)
    name = file.operators[_index(file, module, "Conv")].name
    node = next(node for node in model.graph.node if node.name == name)
    value = node.input[1]
    source = next((node for node in model.graph.node if value in node.output), None)
    value = value if source is None else source.input[input]
    return model, next(weight for weight in model.graph.initializer if weight.name == value)


def _onnx_weight(file: File, module: str) -> bytes:
    model, weight = _onnx_constant(file, module, 0)
    values = onnx.numpy_helper.to_array(weight).copy()
    values[2] *= -1
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    return bytes(model.SerializeToString())


def _onnx_scale(file: File, module: str) -> bytes:
    model, weight = _onnx_constant(file, module, 1)
    values = onnx.numpy_helper.to_array(weight).copy()
    values[1] *= 2
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    return bytes(model.SerializeToString())


def _onnx_resize(file: File, module: str) -> bytes:
    model = onnx.load_from_string(file.content)
    node = next(node for node in model.graph.node if node.op_type == "Resize")
    for attribute in node.attribute:
        if attribute.name == "coordinate_transformation_mode":
            attribute.s = b"align_corners"
    return bytes(model.SerializeToString())
