from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edgedeploy.exporters.tflite_file import builtin_code, read_graph, read_tree, written
from edgedeploy.exporters.tflite_products import with_operands_by_columns

FLOAT, INT = schema.TensorType.FLOAT32, schema.TensorType.INT32
OPTIONS = {"BATCH_MATMUL": "BatchMatMulOptions", "RESHAPE": "ReshapeOptions", "ADD": "AddOptions"}


class File:
    """A file that is written operator by operator; tensor 0 is the first operand, tensor 1 what the second comes from."""

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

    def product(self, second: int, shape: Sequence[int], *others: int) -> bytes:
        """The file, whose outputs are the product and `others`."""
        self.graph.outputs = np.array([self.add("BATCH_MATMUL", [0, second], shape), *others], np.int32)
        return written(self.model)


def outputs(model: bytes) -> list[NDArray[Any]]:
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], rng.standard_normal(details["shape"]).astype(np.float32))
    interpreter.invoke()
    return [interpreter.get_tensor(details["index"]) for details in interpreter.get_output_details()]


def changed(model: bytes) -> list[str]:
    """The operators' types after the change, which keeps what the file computes and leaves no product by rows."""
    after = with_operands_by_columns(model)
    for before, now in zip(outputs(model), outputs(after), strict=True):
        np.testing.assert_allclose(now, before, rtol=1e-5, atol=1e-6)
    tree = read_tree(after)
    assert all(op.builtinOptions.adjY for op in tree.subgraphs[0].operators if hasattr(op.builtinOptions, "adjY"))
    return [op.type for op in read_graph(after).operators]


def test_a_transpose_of_the_operand_is_left_out() -> None:
    file = File([2, 5, 3], [2, 4, 3])
    assert changed(file.product(file.moved(1, [0, 2, 1]), [2, 5, 4])) == ["BATCH_MATMUL"]


def test_another_operand_is_transposed() -> None:
    file = File([2, 5, 3], [2, 3, 4])
    doubled = file.add("ADD", [1, 1], [2, 3, 4])
    assert changed(file.product(doubled, [2, 5, 4])) == ["ADD", "TRANSPOSE", "BATCH_MATMUL"]


def test_a_transpose_before_a_reshape_of_the_batch_changes_its_order() -> None:
    file = File([2, 5, 3], [1, 3, 2, 4])
    heads = file.moved(1, [0, 2, 1, 3])
    operand = file.add("RESHAPE", [heads, file.tensor([3], [2, 3, 4])], [2, 3, 4])
    assert changed(file.product(operand, [2, 5, 4])) == ["TRANSPOSE", "RESHAPE", "BATCH_MATMUL"]


def test_a_transpose_that_is_there_is_read_and_one_that_is_read_elsewhere_stays() -> None:
    file = File([2, 5, 3], [3, 2, 4])
    columns, rows = file.moved(1, [1, 2, 0]), file.moved(1, [1, 0, 2])
    assert changed(file.product(rows, [2, 5, 4], columns)) == ["TRANSPOSE", "BATCH_MATMUL"]
    file = File([2, 5, 3], [2, 4, 3])
    rows = file.moved(1, [0, 2, 1])
    assert changed(file.product(rows, [2, 5, 4], rows)) == ["TRANSPOSE", "BATCH_MATMUL"]


@pytest.mark.parametrize("first", [[5, 3], [2, 5, 3]])
def test_an_input_of_the_network_is_left_as_it_is(first: list[int]) -> None:
    file = File(first, [*first[:-2], 3, 4])
    model = file.product(1, [*first[:-1], 4])
    assert with_operands_by_columns(model) == model
