"""Facts about the operators of an ONNX model: which module each came from, and its output's dtype.

torch.onnx writes the module path of an operator into its metadata (`pkg.torch.onnx.name_scopes`). onnxsim drops the
metadata and keeps the names of values, so that paths are read before it and found again by the outputs' names:

- An operator that onnxsim left alone or replaced by one has its exact path.
- Where onnxsim replaces several operators by one, the path is that of the last of them, whose output's name it keeps.
- Operators without a path (of a conversion in several steps, or of onnxsim's own) take the path of the operators that
  read their result, where these agree; else their path is "".
- QuantizeLinear and DequantizeLinear have the path of the operator whose result they convert; those of weights and of
  the network's inputs, of the operator that reads them.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from edgedeploy.core.provenance import OperatorFact

NAME_SCOPES = "pkg.torch.onnx.name_scopes"
CONVERSIONS = ("QuantizeLinear", "DequantizeLinear")


def exported_paths(model: Any) -> dict[str, str]:
    """The module path of each value in a ModelProto from torch.onnx, by the value's name; without those unknown."""
    paths = {}
    for node in model.graph.node:
        scopes = next((entry.value for entry in node.metadata_props if entry.key == NAME_SCOPES), None)
        modules = ast.literal_eval(scopes)[:-1] if scopes else []  # outermost module ... innermost module, operator
        if modules:
            paths.update(dict.fromkeys(node.output, str(modules[-1])))
    return paths


def node_paths(model: Any, value_paths: Mapping[str, str]) -> dict[str, str]:
    """The module path of each node of a simplified ModelProto, by the node's name."""
    nodes = model.graph.node
    known = [next((value_paths[value] for value in node.output if value in value_paths), None) for node in nodes]
    return dict(zip((node.name for node in nodes), _completed(nodes, known), strict=True))


def operator_facts(model: Any, modules: Mapping[str, str]) -> tuple[OperatorFact, ...]:
    """All operators of a float or quantized ModelProto, in the graph's order.

    `dtype` is that of the value in the file: in a QDQ model an operator between DequantizeLinear and QuantizeLinear
    writes float32, and ONNX Runtime computes it in integers where it has a kernel.

    Args:
        modules: of the float model's nodes, by name; quantization keeps these names.
    """
    nodes, dtypes = model.graph.node, _dtypes(model)
    paths = _completed(nodes, [modules.get(node.name) for node in nodes])
    return tuple(
        OperatorFact(node.name or node.output[0], node.op_type, path, dtype=dtypes.get(node.output[0], ""))
        for node, path in zip(nodes, paths, strict=True)
    )


def _completed(nodes: Sequence[Any], known: Sequence[str | None]) -> list[str]:
    """Paths for all nodes, from those that are known; None is unknown, "" is the top level."""
    paths = list(known)
    producer = {value: index for index, node in enumerate(nodes) for value in node.output}
    consumers: dict[str, list[int]] = {}
    for index, node in enumerate(nodes):
        for value in node.input:
            consumers.setdefault(value, []).append(index)
    for index, node in enumerate(nodes):
        source = producer.get(node.input[0]) if node.op_type in CONVERSIONS else None
        if paths[index] is None and source is not None:
            paths[index] = paths[source]
    for index in reversed(range(len(nodes))):
        if paths[index] is None:
            readers = {paths[reader] for value in nodes[index].output for reader in consumers.get(value, [])}
            paths[index] = readers.pop() if len(readers) == 1 else None
    return [path or "" for path in paths]


def _dtypes(model: Any) -> dict[str, str]:
    """numpy's name of each value's type, as far as ONNX infers it."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        value.name: onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name
        for value in (*graph.value_info, *graph.output)
        if value.type.HasField("tensor_type")
    }
