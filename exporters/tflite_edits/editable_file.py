"""Changes to a .tflite file: operators that are added before others, and what nothing reads any more.

An `EditableFile` holds the tree of objects of the file's format; see `tflite_file.read_tree`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedeploy.exporters.tflite_file import builtin_code, operator_name

TRANSPOSE, RESHAPE = "TRANSPOSE", "RESHAPE"
UNREAD = (TRANSPOSE, RESHAPE, "PAD")  # dropped where nothing reads their results
LEFT_OUT = -1  # number of an optional input that an operator does without


@dataclass
class EditableFile:
    """A file that is being changed, its main graph, and the operator that makes each tensor."""

    tree: Any

    def __post_init__(self) -> None:
        self.graph = self.tree.subgraphs[0]
        self.producers = {int(value): op for op in self.graph.operators for value in op.outputs}

    def type(self, operator: Any) -> str:
        """The operator's type, such as "RESHAPE"."""
        return operator_name(self.tree.operatorCodes[operator.opcodeIndex].builtinCode)

    def readers(self, tensor: int) -> list[Any]:
        """The operators that read a tensor, in order."""
        return [op for op in self.graph.operators if tensor in op.inputs]

    def read_instead(self, others: dict[int, int]) -> None:
        """Lets every operator read other tensors in place of some."""
        for op in self.graph.operators:
            op.inputs = np.array([others.get(int(value), int(value)) for value in op.inputs], np.int32)

    def drop_unread(self) -> None:
        """Drops operators of UNREAD that nothing reads, and their tensors, which no calibrator could read."""
        while True:
            read = {int(value) for op in self.graph.operators for value in op.inputs} | set(
                map(int, self.graph.outputs)
            )
            kept = [op for op in self.graph.operators if self.type(op) not in UNREAD or int(op.outputs[0]) in read]
            if len(kept) == len(self.graph.operators):
                break
            self.graph.operators = kept
        self._drop_tensors(read | {int(value) for op in self.graph.operators for value in op.outputs})

    def _drop_tensors(self, used: set[int]) -> None:
        kept = sorted(used.union(map(int, self.graph.inputs)) - {LEFT_OUT})
        number = {LEFT_OUT: LEFT_OUT, **{old: new for new, old in enumerate(kept)}}
        self.graph.tensors = [self.graph.tensors[index] for index in kept]
        for holder in (self.graph, *self.graph.operators):
            holder.inputs = np.array([number[int(value)] for value in holder.inputs], np.int32)
            holder.outputs = np.array([number[int(value)] for value in holder.outputs], np.int32)
        for signature in self.tree.signatureDefs or ():
            for end in (*signature.inputs, *signature.outputs):
                end.tensorIndex = number[end.tensorIndex]

    def transpose(self, source: int, order: Sequence[int], before: Any) -> int:
        """`source` in another order of its dimensions, by an operator that is there where possible."""
        if list(order) == sorted(order):
            return source
        for op in self.graph.operators[: self._position(before)]:
            if (
                self.type(op) == TRANSPOSE
                and op.inputs[0] == source
                and self.constant(int(op.inputs[1])) == list(order)
            ):
                return int(op.outputs[0])
        shape = [self.graph.tensors[source].shape[axis] for axis in order]
        return self.add(TRANSPOSE, source, order, shape, before)

    def add(self, type: str, source: int, argument: Sequence[int], shape: Sequence[int], before: Any) -> int:
        """The result of a transpose, reshape or pad of `source` that is put before an operator.

        Args:
            argument: the order, the shape, or the pairs of widths.
            shape: of the result.
        """
        from ai_edge_litert import schema_py_generated as schema

        operator = schema.OperatorT()
        sides = [len(argument) // 2, 2] if type == "PAD" else [len(argument)]
        operator.opcodeIndex = self._code(type)
        operator.inputs = np.array([source, self.add_constant(argument, sides, source)], np.int32)
        operator.outputs = np.array([self._add_tensor(source, shape, 0)], np.int32)
        if type == RESHAPE:
            operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
            operator.builtinOptions = schema.ReshapeOptionsT()
            operator.builtinOptions.newShape = np.array(shape, np.int32)
        else:
            kind = "PadOptions" if type == "PAD" else "TransposeOptions"
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = getattr(schema, f"{kind}T")()
        return self._insert(operator, before)

    def add_with_number(self, type: str, source: int, number: float, before: Any) -> int:
        """The result of a MINIMUM or MAXIMUM of `source`, which is float, and a number that is put before an operator."""
        from ai_edge_litert import schema_py_generated as schema

        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(type)
        constant = self._add_tensor(source, [1], self._add_buffer(np.array([number], np.float32)))
        operator.inputs = np.array([source, constant], np.int32)
        operator.outputs = np.array([self._add_tensor(source, self.graph.tensors[source].shape, 0)], np.int32)
        operator.builtinOptionsType = schema.BuiltinOptions.MaximumMinimumOptions
        operator.builtinOptions = schema.MaximumMinimumOptionsT()
        return self._insert(operator, before)

    def _insert(self, operator: Any, before: Any) -> int:
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

    def add_constant(self, values: Sequence[int], shape: Sequence[int], like: int) -> int:
        """A constant of 32-bit integers."""
        from ai_edge_litert import schema_py_generated as schema

        index = self._add_tensor(like, shape, self._add_buffer(np.array(values, np.int32)))
        self.graph.tensors[index].type = schema.TensorType.INT32
        return index

    def set_floats(self, tensor: int, values: NDArray[np.float32]) -> None:
        """Gives a float constant other values; constants that share its buffer keep theirs."""
        held = self.graph.tensors[tensor]
        if sum(other.buffer == held.buffer for graph in self.tree.subgraphs for other in graph.tensors) > 1:
            held.buffer = self._add_buffer(values)
        else:
            self.tree.buffers[held.buffer].data = np.frombuffer(values.tobytes(), np.uint8)

    def is_scalable(self, tensor: int) -> bool:
        """Whether `scale_constant` takes a tensor: one of 32-bit floats, or of integers with scales."""
        from ai_edge_litert import schema_py_generated as schema

        is_float = self.graph.tensors[tensor].type == schema.TensorType.FLOAT32
        return bool(self._data(tensor)) and (is_float or self._scales(tensor).size > 0)

    def scale_constant(self, tensor: int, factor: float) -> None:
        """Multiplies a constant: its scales where it has them, else its values."""
        scales = self._scales(tensor)
        if scales.size:
            self.graph.tensors[tensor].quantization.scale = (scales * factor).astype(np.float32)
        else:
            self.set_floats(tensor, (self.floats(tensor) * factor).astype(np.float32))

    def _scales(self, tensor: int) -> NDArray[np.float32]:
        """A tensor's scales; none for one that is not quantized."""
        quantization = self.graph.tensors[tensor].quantization
        scales = None if quantization is None else quantization.scale
        return np.array([] if scales is None else scales, np.float32)

    def _add_buffer(self, values: NDArray[Any]) -> int:
        from ai_edge_litert import schema_py_generated as schema

        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self.tree.buffers.append(buffer)
        return len(self.tree.buffers) - 1

    def constant(self, tensor: int) -> list[int]:
        """The values of a constant of 32-bit integers, as one list; empty for a computed tensor."""
        return np.frombuffer(self._data(tensor), np.int32).tolist()

    def floats(self, tensor: int) -> NDArray[np.float32]:
        """The values of a constant of 32-bit floats; empty for a computed tensor."""
        return np.frombuffer(self._data(tensor), np.float32)

    def _data(self, tensor: int) -> bytes:
        data = self.tree.buffers[self.graph.tensors[tensor].buffer].data
        return b"" if data is None else bytes(data)

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
