"""The operators of a .tflite file, each as a file of its own that LiteRT runs with its default delegate.

LiteRT can keep all intermediate tensors (`experimental_preserve_all_tensors`), but not those inside of a delegate: with it
other kernels would run than on the phone.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgedeploy.core.parity import Array
from edgedeploy.exporters.tflite_file import module_of_tensor, read_graph, read_tree, written

from .steps import RunStep, Step, dequantized, limits_of, quantized


class TfliteSteps:
    """See StepFile. `modules` are the paths by the operator's index, where they are known."""

    def __init__(self, content: bytes, modules: Mapping[int, str] | None = None) -> None:
        self._tree = read_tree(content)
        self._graph = self._tree.subgraphs[0]
        self._tensors = self._graph.tensors
        self._names = _unique([_text(tensor.name) for tensor in self._tensors])
        self._index = {name: index for index, name in enumerate(self._names)}
        types = [op.type for op in read_graph(content).operators]
        self._operator: dict[str, Any] = {}
        steps = []
        for index, op in enumerate(self._graph.operators):
            name = self._names[op.outputs[0]]
            module = (
                modules[index] if modules is not None else module_of_tensor(_text(self._tensors[op.outputs[0]].name))
            )
            inputs = tuple(dict.fromkeys(self._names[i] for i in op.inputs if i >= 0 and not self._is_constant(i)))
            steps.append(Step(name, types[index], module, inputs, tuple(self._names[i] for i in op.outputs)))
            self._operator[name] = op
        self.steps: Sequence[Step] = tuple(steps)
        self.inputs: Sequence[str] = [self._names[index] for index in self._graph.inputs]
        self.outputs: Sequence[str] = [self._names[index] for index in self._graph.outputs]
        self.input_shapes: Sequence[tuple[int, ...]] = [
            tuple(map(int, self._tensors[index].shape)) for index in self._graph.inputs
        ]

    def opened(self, step: Step, values: Sequence[Array]) -> RunStep:
        """See StepFile."""
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=self._alone(step), num_threads=1)
        interpreter.allocate_tensors()
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()

        def run(values: Sequence[Array]) -> list[Array]:
            for detail, name, value in zip(inputs, step.inputs, values, strict=True):
                interpreter.set_tensor(detail["index"], np.ascontiguousarray(self._stored(name, value)))
            interpreter.invoke()
            found = [interpreter.get_tensor(detail["index"]) for detail in outputs]
            return [self._real(name, value) for name, value in zip(step.outputs, found, strict=True)]

        return run

    def limits(self, tensor: str) -> tuple[float, float] | None:
        """See StepFile."""
        scale = self._scale(tensor)
        return None if scale is None else limits_of(*scale)

    def _alone(self, step: Step) -> bytes:
        """A file of one operator."""
        op = copy.copy(self._operator[step.name])
        used = list(dict.fromkeys(int(index) for index in (*op.inputs, *op.outputs) if index >= 0))
        place = {old: new for new, old in enumerate(used)}
        graph, tree = copy.copy(self._graph), copy.copy(self._tree)
        buffers = [copy.copy(self._tree.buffers[0])]
        graph.tensors = []
        for index in used:
            tensor = copy.copy(self._tensors[index])
            if self._is_constant(index):
                buffers.append(self._tree.buffers[tensor.buffer])
                tensor.buffer = len(buffers) - 1
            else:
                tensor.buffer = 0
            graph.tensors.append(tensor)
        tree.operatorCodes = [self._tree.operatorCodes[op.opcodeIndex]]
        op.opcodeIndex = 0
        op.inputs = [place.get(int(index), -1) for index in op.inputs]
        op.outputs = [place[int(index)] for index in op.outputs]
        graph.operators = [op]
        graph.inputs = [place[self._index[name]] for name in step.inputs]
        graph.outputs = list(op.outputs)
        tree.subgraphs = [graph, *self._tree.subgraphs[1:]]
        tree.buffers, tree.signatureDefs, tree.metadata, tree.metadataBuffer = buffers, None, None, None
        return written(tree)

    def _is_constant(self, index: int) -> bool:
        data = self._tree.buffers[self._tensors[index].buffer].data
        return data is not None and len(data) > 0

    def _scale(self, name: str) -> tuple[float, int, Any] | None:
        """Scale, zero point and type of a tensor of integers that stand for real numbers; one scale for all of it."""
        from ai_edge_litert import schema_py_generated as schema

        tensor = self._tensors[self._index[name]]
        kind = {schema.TensorType.INT8: np.int8, schema.TensorType.UINT8: np.uint8, schema.TensorType.INT16: np.int16}
        scales = tensor.quantization.scale if tensor.quantization is not None else None
        if tensor.type not in kind or scales is None or len(scales) != 1:
            return None
        zero_points = tensor.quantization.zeroPoint
        return float(scales[0]), int(zero_points[0]) if zero_points is not None else 0, np.dtype(kind[tensor.type])

    def _stored(self, name: str, value: Array) -> Array:
        scale = self._scale(name)
        return value if scale is None else quantized(value, *scale)

    def _real(self, name: str, value: Array) -> Array:
        scale = self._scale(name)
        return value if scale is None else dequantized(value, *scale[:2])


def _text(name: Any) -> str:
    return "" if name is None else bytes(name).decode(errors="replace")


def _unique(names: Sequence[str]) -> list[str]:
    """Names of tensors as they are, with the index behind those that are there twice."""
    seen: set[str] = set()
    found = []
    for index, name in enumerate(names):
        found.append(f"{name}#{index}" if name in seen or not name else name)
        seen.add(found[-1])
    return found
