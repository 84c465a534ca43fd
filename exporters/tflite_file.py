"""A .tflite file taken apart: its operators by name, and its first ones as a file of their own."""

from __future__ import annotations

from typing import Any

import numpy as np


def operator_name(code: int) -> str:
    """The name of a builtin operator's number in the format as it is known here, such as ADD for 0."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    return next((name for name, value in vars(BuiltinOperator).items() if value == code), f"number {code}")


def operators(model: bytes) -> list[str]:
    """The main graph's operators in their order: name, and where in the network their output is made."""
    tree = _parse(model)
    graph = tree.subgraphs[0]
    names = [operator_name(code.builtinCode) for code in tree.operatorCodes]
    return [f"{names[o.opcodeIndex]} at {_place(graph.tensors[o.outputs[0]].name)}" for o in graph.operators]


def first_operators(model: bytes, count: int) -> bytes:
    """The file cut after its first `count` operators, 1 or more; the last one's outputs are its outputs."""
    import flatbuffers  # type: ignore[import-untyped]

    tree = _parse(model)
    graph = tree.subgraphs[0]
    graph.operators = graph.operators[:count]
    graph.outputs = graph.operators[-1].outputs
    tree.signatureDefs = None
    for buffer in tree.buffers:
        if buffer.offset > 1:  # its data lies behind the tree, which is about to change its length
            buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _parse(model: bytes) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))


def _place(tensor: bytes) -> str:
    """`net.Top/net.Stage_trans/net.Block_0;3`, as the converter names a tensor, is trans.0."""
    modules = tensor.decode(errors="replace").partition(";")[0].split("/")
    names = [module.rpartition(".")[2].partition("_")[2] for module in modules]
    return ".".join(name for name in names if name) or "the top level"
