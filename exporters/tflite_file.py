"""A .tflite file: its main graph as records, and its first operators as a file of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class FileTensor:
    """A tensor of the file; `dtype` as numpy names it, where numpy has it."""

    name: str
    dtype: str
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class FileOperator:
    """An operator of the file: its type, such as "CONV_2D", and the indices of its tensors."""

    type: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class FileGraph:
    """The main graph; an operator's index is also its node's index in the interpreter."""

    tensors: tuple[FileTensor, ...]
    operators: tuple[FileOperator, ...]
    outputs: tuple[int, ...] = ()


def operator_name(code: int) -> str:
    """The name of a builtin operator's number in the installed version of the format, such as ADD for 0."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    return _names(BuiltinOperator).get(code, f"number {code}")


def builtin_code(name: str) -> int:
    """The inverse of `operator_name`."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    return int(getattr(BuiltinOperator, name))


def read_graph(model: bytes) -> FileGraph:
    """The file's main graph, without its weights."""
    from ai_edge_litert import schema_py_generated as schema

    file = schema.Model.GetRootAs(model, 0)
    graph = file.Subgraphs(0)
    builtin, dtypes = _names(schema.BuiltinOperator), _names(schema.TensorType)
    codes = [file.OperatorCodes(index) for index in range(file.OperatorCodesLength())]
    types = [
        _text(code.CustomCode())
        if code.CustomCode()
        else builtin.get(code.BuiltinCode(), f"number {code.BuiltinCode()}")
        for code in codes
    ]
    tensors = [graph.Tensors(index) for index in range(graph.TensorsLength())]
    operators = [graph.Operators(index) for index in range(graph.OperatorsLength())]
    return FileGraph(
        tuple(
            FileTensor(
                _text(tensor.Name()),
                dtypes[tensor.Type()].lower(),
                tuple(tensor.Shape(i) for i in range(tensor.ShapeLength())),
            )
            for tensor in tensors
        ),
        tuple(
            FileOperator(
                types[op.OpcodeIndex()],
                tuple(value for i in range(op.InputsLength()) if (value := op.Inputs(i)) >= 0),  # -1: left out
                tuple(op.Outputs(i) for i in range(op.OutputsLength())),
            )
            for op in operators
        ),
        tuple(graph.Outputs(index) for index in range(graph.OutputsLength())),
    )


def operators(model: bytes) -> list[str]:
    """The main graph's operators in their order: type, and the module whose output they compute."""
    graph = read_graph(model)
    return [f"{op.type} at {module_of_tensor(graph.tensors[op.outputs[0]].name)}" for op in graph.operators]


def first_operators(model: bytes, count: int) -> bytes:
    """The file cut after its first `count` operators, 1 or more; the last one's outputs are its outputs."""
    tree = read_tree(model)
    graph = tree.subgraphs[0]
    graph.operators = graph.operators[:count]
    graph.outputs = graph.operators[-1].outputs
    tree.signatureDefs = None
    return written(tree)


def first_refused(model: bytes, count: int) -> int:
    """The number of the first operator that LiteRT refuses a file for; its message has that of a delegate's node at most.

    Args:
        count: of the file's operators, with all of which it is refused.
    """
    opened, refused = 0, count  # of the file's operators, how many make one that is opened or refused
    while refused - opened > 1:
        middle = (opened + refused) // 2
        if _opens(first_operators(model, middle)):
            opened = middle
        else:
            refused = middle
    return refused - 1


def _opens(model: bytes) -> bool:
    from ai_edge_litert.interpreter import Interpreter

    try:
        Interpreter(model_content=model).allocate_tensors()
    except (RuntimeError, ValueError):
        return False
    return True


def read_tree(model: bytes) -> Any:
    """The file as a tree of objects (the format's `ModelT`) that can be changed and written again."""
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    for buffer in tree.buffers:
        if buffer.offset > 1:  # its data lies behind the tree, which may change its length
            buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return tree


def largest_constants(model: bytes) -> dict[int, float]:
    """The largest absolute value of each float constant of the main graph, by the tensor's number."""
    from ai_edge_litert import schema_py_generated as schema

    tree = read_tree(model)
    data = {
        index: tree.buffers[tensor.buffer].data
        for index, tensor in enumerate(tree.subgraphs[0].tensors)
        if tensor.type == schema.TensorType.FLOAT32
    }
    return {
        index: float(np.abs(np.frombuffer(bytes(values), np.float32)).max())
        for index, values in data.items()
        if values is not None and len(values)
    }


def written(tree: Any) -> bytes:
    """The inverse of `read_tree`."""
    import flatbuffers  # type: ignore[import-untyped]

    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _names(enumeration: type) -> dict[int, str]:
    """A class of the generated schema as a table from number to name."""
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _text(name: Any) -> str:
    return "" if name is None else bytes(name).decode(errors="replace")


def module_of_tensor(tensor: str) -> str:
    """`net.Top/net.Stage_trans/net.Block_0;3`, as litert_torch names a tensor, is trans.0.

    An approximation for files whose network is not at hand: containers that are never called, such as ModuleList, are
    missing. tflite_operators.py looks paths up in the network instead.
    """
    modules = tensor.partition(";")[0].split("/")
    names = [module.rpartition(".")[2].partition("_")[2] for module in modules]
    return ".".join(name for name in names if name) or "the top level"
