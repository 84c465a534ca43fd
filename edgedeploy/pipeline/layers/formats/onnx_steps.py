"""The operators of an ONNX model, each as a model of its own that ONNX Runtime runs.

In a quantized model QuantizeLinear and DequantizeLinear around an operator belong to its step, so that ONNX Runtime uses
the same integer kernels as for the whole model. The integers of operators such as QLinearConv, whose scales are operands,
are not compared.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgedeploy.core.parity import Array
from edgedeploy.exporters.onnx_operators import CONVERSIONS, NAME_SCOPES

from .steps import RunStep, Step, limits_of, quantized

QUANTIZE, DEQUANTIZE = CONVERSIONS


class OnnxSteps:
    """See StepFile. `modules` are the paths by the node's name, where they are known."""

    def __init__(self, content: bytes, modules: Mapping[str, str] | None = None) -> None:
        import onnx

        self._model = onnx.load_from_string(content)
        graph = self._model.graph
        self._constants = {weight.name: weight for weight in graph.initializer}
        self._producer = {value: node for node in graph.node for value in node.output}
        self._readers: dict[str, list[Any]] = {}
        for node in graph.node:
            for value in node.input:
                self._readers.setdefault(value, []).append(node)
        self._declared = {
            value.name: onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type) for value in graph.input
        }
        self.inputs: Sequence[str] = [value.name for value in graph.input if value.name not in self._constants]
        self.input_shapes: Sequence[tuple[int, ...]] = [
            tuple(side.dim_value or 1 for side in value.type.tensor_type.shape.dim)
            for value in graph.input
            if value.name in self.inputs
        ]
        self.outputs: Sequence[str] = [self._base(value.name) for value in graph.output]
        self._node: dict[str, Any] = {}
        steps = []
        for node in graph.node:
            if node.op_type in CONVERSIONS:
                continue
            name = node.name or node.output[0]
            inputs = dict.fromkeys(self._base(value) for value in node.input if value)
            activations = tuple(value for value in inputs if value not in self._constants)
            module = modules.get(name, "") if modules is not None else _module(node)
            steps.append(Step(name, node.op_type, module, activations, tuple(value for value in node.output if value)))
            self._node[name] = node
        self.steps: Sequence[Step] = tuple(steps)

    def opened(self, step: Step, values: Sequence[Array]) -> RunStep:
        """See StepFile."""
        import onnx
        import onnxruntime

        node = self._node[step.name]
        nodes = list({id(found): found for found in self._needed(node)}.values())
        results = [self._rounded(name, nodes) for name in step.outputs]
        helper, graph = onnx.helper, self._model.graph
        used = {value for found in nodes for value in found.input}
        inputs = [
            helper.make_tensor_value_info(
                name,
                helper.np_dtype_to_tensor_dtype(self._declared.get(name, np.dtype(value.dtype))),
                value.shape,
            )
            for name, value in zip(step.inputs, values, strict=True)
        ]
        alone = helper.make_graph(
            nodes,
            "step",
            inputs,
            [onnx.ValueInfoProto(name=name) for name in results],
            [weight for weight in graph.initializer if weight.name in used],
        )
        model = helper.make_model(alone, opset_imports=self._model.opset_import, ir_version=self._model.ir_version)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])

        def run(values: Sequence[Array]) -> list[Array]:
            stored = {name: self._stored(name, value) for name, value in zip(step.inputs, values, strict=True)}
            return [np.asarray(value) for value in session.run(results, stored)]

        return run

    def limits(self, tensor: str) -> tuple[float, float] | None:
        """See StepFile."""
        conversions = [node for node in self._readers.get(tensor, []) if node.op_type in CONVERSIONS]
        scale = self._scale(conversions[0]) if conversions else None
        return None if scale is None else limits_of(*scale)

    def _base(self, value: str) -> str:
        """The tensor that a value is the conversion of; itself where it is of none."""
        while (node := self._producer.get(value)) is not None and node.op_type in CONVERSIONS:
            value = node.input[0]
        return value

    def _needed(self, node: Any) -> Iterator[Any]:
        """The node, behind the conversions of its inputs."""
        for value in node.input:
            before = []
            while (source := self._producer.get(value)) is not None and source.op_type in CONVERSIONS:
                before.append(source)
                value = source.input[0]
            yield from reversed(before)
        yield node

    def _rounded(self, value: str, nodes: list[Any]) -> str:
        """The name of an output after its conversion to integers and back, which is appended to the nodes."""
        for wanted in (QUANTIZE, DEQUANTIZE):
            reader = next((node for node in self._readers.get(value, []) if node.op_type == wanted), None)
            if reader is None:
                break
            nodes.append(reader)
            value = reader.output[0]
        return value

    def _stored(self, name: str, value: Array) -> Array:
        """A network's input as its model takes it: integers, where the model begins with DequantizeLinear."""
        declared = self._declared.get(name)
        if declared is None or not np.issubdtype(declared, np.integer) or np.issubdtype(value.dtype, np.integer):
            return np.ascontiguousarray(value)
        scale = next((self._scale(node) for node in self._readers[name] if node.op_type == DEQUANTIZE), None)
        return value.astype(declared) if scale is None else quantized(value, *scale)

    def _scale(self, conversion: Any) -> tuple[float, int, Any] | None:
        """Scale, zero point and type of a conversion; None where it has several scales."""
        import onnx

        arrays = [
            onnx.numpy_helper.to_array(self._constants[name])
            for name in conversion.input[1:3]
            if name in self._constants
        ]
        if len(arrays) != 2 or arrays[0].size != 1:
            return None
        return float(arrays[0].item()), int(arrays[1].item()), arrays[1].dtype


def _module(node: Any) -> str:
    """The module path that torch.onnx wrote into a node's metadata; "" for models of other origin."""
    scopes = next((entry.value for entry in node.metadata_props if entry.key == NAME_SCOPES), None)
    modules = ast.literal_eval(scopes)[:-1] if scopes else []
    return str(modules[-1]) if modules else ""
