"""A .tflite file as LiteRT will divide it, without running it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgedeploy.core.results.explanation import Refusal
from edgedeploy.exporters.operators.arithmetic import Arithmetic
from edgedeploy.exporters.tflite_file import read_graph, read_tree
from edgedeploy.exporters.tflite_operators import arithmetic_of

from .litert_rules import MAX_RANK, Operator, Tensor, refusal_of


@dataclass(frozen=True)
class FileOperators:
    """The operators of a file: which partition each is in, or why it is in none.

    Attributes:
        partitions: for each operator the number of its partition, in the order of execution; None outside.
        refusals: by the index of the operator.
        bytes_moved: of each operator's inputs and outputs.
    """

    types: tuple[str, ...]
    names: tuple[str, ...]
    partitions: tuple[int | None, ...]
    refusals: Mapping[int, Refusal]
    arithmetic: tuple[Arithmetic, ...]
    bytes_moved: tuple[int, ...]


def divided(content: bytes) -> FileOperators:
    """The operators of a .tflite file as LiteRT's XNNPACK delegate will divide them."""
    tree, graph = read_tree(content), read_graph(content)
    raw = tree.subgraphs[0]
    tensors = [
        _tensor(tensor, tree.buffers[tensor.buffer].data, graph.tensors[index].dtype)
        for index, tensor in enumerate(raw.tensors)
    ]
    unpacked: set[int] = set()  # constants that are stored in another type and converted when the file is loaded
    refusals: dict[int, Refusal] = {}
    for index, op in enumerate(raw.operators):
        inputs = tuple(tensors[i] if i >= 0 else None for i in op.inputs)
        outputs = tuple(tensors[i] for i in op.outputs)
        type = graph.operators[index].type
        code = tree.operatorCodes[op.opcodeIndex]
        refusal = refusal_of(Operator(type, inputs, outputs, op.builtinOptions, code.version))
        if refusal is not None:
            refusals[index] = refusal
        elif type == "DEQUANTIZE" and inputs[0] is not None and inputs[0].constant:
            unpacked.add(index)
            for output in op.outputs:
                tensors[output] = _as_constant(tensors[output])
    for index, op in enumerate(raw.operators):  # one that an operator outside reads is computed outside
        if index in refusals:
            for source in unpacked:
                if set(raw.operators[source].outputs) & set(op.inputs):
                    refusals.setdefault(source, Refusal("neighbours", "it serves an operator outside of the delegate"))
    operators = graph.operators
    return FileOperators(
        tuple(op.type for op in operators),
        tuple(graph.tensors[op.outputs[0]].name for op in operators),
        tuple(_partitions([op.inputs for op in operators], [op.outputs for op in operators], refusals)),
        refusals,
        tuple(arithmetic_of(graph, op) for op in operators),
        tuple(
            sum(_bytes(graph.tensors[i].dtype, graph.tensors[i].shape) for i in (*op.inputs, *op.outputs))
            for op in operators
        ),
    )


def _partitions(
    inputs: Sequence[Sequence[int]], outputs: Sequence[Sequence[int]], refusals: Mapping[int, Refusal]
) -> list[int | None]:
    """The number of each operator's partition: TFLite collects all operators of one kind that are ready, then all of the
    other kind, and so on.
    """
    producers = {value: index for index, values in enumerate(outputs) for value in values}
    needs = [{producers[value] for value in values if value in producers} for values in inputs]
    found: list[int | None] = [None] * len(inputs)
    done: set[int] = set()
    number = 0
    while len(done) < len(inputs):
        inside: bool | None = None
        changed = True
        while changed:
            changed = False
            for index in range(len(inputs)):
                if index in done or needs[index] - done or (inside is not None and inside != (index not in refusals)):
                    continue
                inside = index not in refusals
                found[index] = number if inside else None
                done.add(index)
                changed = True
        number += bool(inside)
    return found


def _tensor(tensor: Any, data: Any, dtype: str) -> Tensor:
    scales, zeros = (
        (None, None) if tensor.quantization is None else (tensor.quantization.scale, tensor.quantization.zeroPoint)
    )
    shape = tuple(int(side) for side in tensor.shape) if tensor.shape is not None else ()
    constant = data is not None and len(data) > 0
    short = constant and dtype == "int32" and len(shape) == 1 and shape[0] <= MAX_RANK
    return Tensor(
        dtype,
        shape,
        () if scales is None else tuple(float(scale) for scale in scales),
        () if zeros is None else tuple(int(zero) for zero in zeros),
        tensor.quantization.quantizedDimension if tensor.quantization is not None else 0,
        constant,
        tuple(int(value) for value in np.frombuffer(bytes(data), "<i4")) if short else (),
    )


def _as_constant(tensor: Tensor) -> Tensor:
    return replace(tensor, constant=True)


def _bytes(dtype: str, shape: Sequence[int]) -> int:
    try:
        width = np.dtype(dtype).itemsize
    except TypeError:
        width = 1
    return math.prod(shape) * width
