"""Second operands of a .tflite file's matrix products, stored by columns: a @ b  ->  a @ t^T,  t = b^T.

XNNPACK packs a computed second operand for its kernels in every inference. (N, K), which the product transposes itself
(`adj_y`), it copies row by row, (K, N) value by value: 4x12x1024 by 4x1024x12 in int8 takes 416 thousand Arm
instructions, and 99 thousand when the operand is stored as 4x12x1024. A transpose of bytes costs a tenth of that packing,
and often there is one already, which changes its order or is no longer needed.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .tflite_file import builtin_code, operator_name, read_tree, written

PRODUCT, TRANSPOSE, RESHAPE = "BATCH_MATMUL", "TRANSPOSE", "RESHAPE"


def with_operands_by_columns(model: bytes) -> bytes:
    """The file with `adj_y` at every product whose second operand is computed and has none."""
    file = _File(read_tree(model))
    products = [op for op in file.graph.operators if file.type(op) == PRODUCT]
    changed = [op for op in products if not op.builtinOptions.adjY and op.inputs[1] in file.producers]
    for product in changed:
        product.inputs = np.array([product.inputs[0], file.transposed(int(product.inputs[1]), product)], np.int32)
        product.builtinOptions.adjY = True
    file.drop_unread()
    return written(file.tree) if changed else model


@dataclass
class _File:
    """A file that is being changed."""

    tree: Any

    def __post_init__(self) -> None:
        self.graph = self.tree.subgraphs[0]
        self.producers = {int(value): op for op in self.graph.operators for value in op.outputs}

    def type(self, operator: Any) -> str:
        """The operator's type, such as "RESHAPE"."""
        return operator_name(self.tree.operatorCodes[operator.opcodeIndex].builtinCode)

    def transposed(self, value: int, before: Any) -> int:
        """The tensor `value` with its last two dimensions swapped, computed before an operator."""
        shape = tuple(self.graph.tensors[value].shape)
        swapped = (*shape[:-2], shape[-1], shape[-2])
        viewed = self._before_reshape(value)
        maker = self.producers.get(viewed)
        if maker is not None and self.type(maker) == TRANSPOSE:
            moved = self._transpose(int(maker.inputs[0]), _swap_last(self._constant(int(maker.inputs[1]))), before)
        else:
            moved = self._transpose(viewed, _swap_last(range(len(self.graph.tensors[viewed].shape))), before)
        if tuple(self.graph.tensors[moved].shape) == swapped:
            return moved
        return self._add(RESHAPE, moved, swapped, swapped, before)

    def drop_unread(self) -> None:
        """Drops transposes and reshapes that nothing reads."""
        while True:
            read = {int(value) for op in self.graph.operators for value in op.inputs} | set(
                map(int, self.graph.outputs)
            )
            kept = [
                op
                for op in self.graph.operators
                if self.type(op) not in (TRANSPOSE, RESHAPE) or int(op.outputs[0]) in read
            ]
            if len(kept) == len(self.graph.operators):
                return
            self.graph.operators = kept

    def _before_reshape(self, value: int) -> int:
        """What a reshape that keeps the last two dimensions reads; the value itself where it is of another operator."""
        maker = self.producers.get(value)
        if maker is None or self.type(maker) != RESHAPE:
            return value
        source = int(maker.inputs[0])
        shapes = [tuple(self.graph.tensors[tensor].shape[-2:]) for tensor in (source, value)]
        return source if shapes[0] == shapes[1] else value

    def _transpose(self, source: int, order: Sequence[int], before: Any) -> int:
        """`source` in another order of its dimensions, by an operator that is there where possible."""
        if list(order) == sorted(order):
            return source
        for op in self.graph.operators[: self._position(before)]:
            if (
                self.type(op) == TRANSPOSE
                and op.inputs[0] == source
                and self._constant(int(op.inputs[1])) == list(order)
            ):
                return int(op.outputs[0])
        shape = [self.graph.tensors[source].shape[axis] for axis in order]
        return self._add(TRANSPOSE, source, order, shape, before)

    def _add(self, type: str, source: int, argument: Sequence[int], shape: Sequence[int], before: Any) -> int:
        from ai_edge_litert import schema_py_generated as schema

        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(type)
        operator.inputs = np.array([source, self._add_constant(argument, source)], np.int32)
        operator.outputs = np.array([self._add_tensor(source, shape, 0)], np.int32)
        if type == RESHAPE:
            operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
            operator.builtinOptions = schema.ReshapeOptionsT()
            operator.builtinOptions.newShape = np.array(shape, np.int32)
        else:
            operator.builtinOptionsType = schema.BuiltinOptions.TransposeOptions
            operator.builtinOptions = schema.TransposeOptionsT()
        self.graph.operators.insert(self._position(before), operator)
        self.producers[int(operator.outputs[0])] = operator
        return int(operator.outputs[0])

    def _position(self, operator: Any) -> int:
        return next(index for index, op in enumerate(self.graph.operators) if op is operator)

    def _add_tensor(self, like: int, shape: Sequence[int], buffer: int) -> int:
        """A tensor of the same type and module as `like`, whose name it has with a number."""
        tensor = copy.copy(self.graph.tensors[like])
        tensor.name = tensor.name + f";{len(self.graph.tensors)}".encode()
        tensor.shape, tensor.buffer = np.array(shape, np.int32), buffer
        tensor.shapeSignature = None
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def _add_constant(self, values: Sequence[int], like: int) -> int:
        from ai_edge_litert import schema_py_generated as schema

        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.array(values, np.int32).tobytes(), np.uint8)
        self.tree.buffers.append(buffer)
        index = self._add_tensor(like, [len(values)], len(self.tree.buffers) - 1)
        self.graph.tensors[index].type = schema.TensorType.INT32
        return index

    def _constant(self, tensor: int) -> list[int]:
        data = self.tree.buffers[self.graph.tensors[tensor].buffer].data
        return [] if data is None else np.frombuffer(bytes(data), np.int32).tolist()

    def _code(self, type: str) -> int:
        """The index of an operator's code in the file, which is added where it is missing."""
        from ai_edge_litert import schema_py_generated as schema

        for index, code in enumerate(self.tree.operatorCodes):
            if operator_name(code.builtinCode) == type:
                return index
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin_code(type)
        code.version = 1
        self.tree.operatorCodes.append(code)
        return len(self.tree.operatorCodes) - 1


def _swap_last(order: Sequence[int]) -> list[int]:
    return [*order[:-2], order[-1], order[-2]]
