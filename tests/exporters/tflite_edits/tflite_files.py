"""A .tflite file that a test writes operator by operator, and what it computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edgedeploy.exporters.tflite_edits.editable_file import EditableFile
from edgedeploy.exporters.tflite_file import FileGraph, builtin_code, read_graph, read_tree, written

FLOAT, INT = schema.TensorType.FLOAT32, schema.TensorType.INT32
OPTIONS = {"BATCH_MATMUL": "BatchMatMulOptions", "RESHAPE": "ReshapeOptions", "ADD": "AddOptions", "PAD": "PadOptions"}


class File:
    """A file that is written operator by operator; its inputs are tensors 0 and 1."""

    def __init__(self, first: Sequence[int], second: Sequence[int]) -> None:
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.subgraphs, self.model.operatorCodes = 3, [self.graph], []
        self.model.buffers, self.graph.tensors, self.graph.operators = [schema.BufferT()], [], []
        self.graph.inputs = np.array([self.tensor(first), self.tensor(second)], np.int32)

    def tensor(self, shape: Sequence[int], values: Sequence[int] | None = None) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape = f"t{len(self.graph.tensors)}".encode(), np.array(shape, np.int32)
        tensor.type, tensor.buffer = FLOAT if values is None else INT, 0 if values is None else len(self.model.buffers)
        if values is not None:
            self.model.buffers.append(schema.BufferT())
            self.model.buffers[-1].data = np.frombuffer(np.array(values, np.int32).tobytes(), np.uint8)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def add(self, type: str, inputs: Sequence[int], shape: Sequence[int]) -> int:
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin_code(type)
        code.version = 1
        self.model.operatorCodes.append(code)
        operator.opcodeIndex, operator.inputs = len(self.model.operatorCodes) - 1, np.array(inputs, np.int32)
        operator.outputs = np.array([self.tensor(shape)], np.int32)
        options = OPTIONS.get(type, "TransposeOptions")
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        operator.builtinOptions = getattr(schema, f"{options}T")()
        self.graph.operators.append(operator)
        return int(operator.outputs[0])

    def moved(self, value: int, order: Sequence[int]) -> int:
        shape = [self.graph.tensors[value].shape[axis] for axis in order]
        return self.add("TRANSPOSE", [value, self.tensor([len(order)], order)], shape)

    def product(self, second: int, shape: Sequence[int]) -> int:
        return self.add("BATCH_MATMUL", [0, second], shape)

    def of_outputs(self, *values: int) -> bytes:
        """The file, with these outputs."""
        self.graph.outputs = np.array(values, np.int32)
        return written(self.model)


def outputs(model: bytes) -> list[NDArray[Any]]:
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], rng.standard_normal(details["shape"]).astype(np.float32))
    interpreter.invoke()
    return [interpreter.get_tensor(details["index"]) for details in interpreter.get_output_details()]


def edited(edit: Callable[[EditableFile], int], model: bytes) -> tuple[FileGraph, int]:
    """The file's graph after an edit, which keeps what it computes with no tensor left over, and the edit's result."""
    file = EditableFile(read_tree(model))
    count = edit(file)
    file.drop_unread()
    after = written(file.tree)
    for before, now in zip(outputs(model), outputs(after), strict=True):
        np.testing.assert_allclose(now, before, rtol=1e-5, atol=1e-6)
    graph = read_graph(after)
    used = {value for op in graph.operators for value in (*op.inputs, *op.outputs)}
    assert used.union(range(2)) == set(range(len(graph.tensors)))
    return graph, count


def types(graph: FileGraph) -> list[str]:
    """The operators' types in their order."""
    return [op.type for op in graph.operators]
