"""Facts about the operators of an ONNX model: which module each came from, its output's dtype,
and its multiply-accumulates.

torch.onnx writes the module path of an operator into its metadata (`pkg.torch.onnx.name_scopes`). onnxsim drops the
metadata and keeps the names of values, so that paths are read before it and found again by names:

- An operator that onnxsim left alone or replaced by one has its exact path, by its output's name.
- Where onnxsim replaces several operators by one, the path is that of the last of them, whose output's name it keeps.
- An operator with a new output has the path of the operator that its weights were made for.
- Operators without a path (of a conversion in several steps, or of onnxsim's own) take the path of the operators that
  read their result, where these agree; else their path is "". This is right for the reshapes around a matrix product,
  and a guess where onnxsim moved an operator.
- QuantizeLinear and DequantizeLinear have the path of the operator whose result they convert; those of weights and of
  the network's inputs, of the operator that reads them.
"""

from __future__ import annotations

import ast
import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from edgedeploy.core.provenance import OperatorFact

from .operators.arithmetic import NO_ARITHMETIC, Arithmetic, matrix_product, transposed_convolution, weighted
from .operators.module_paths import completed
from .regions import Operator

NAME_SCOPES = "pkg.torch.onnx.name_scopes"
CONVERSIONS = ("QuantizeLinear", "DequantizeLinear")
LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "MatMulInteger")


def exported_paths(model: Any) -> dict[str, str]:
    """The module path of each value in a ModelProto from torch.onnx, by the value's name; without those unknown.

    A value belongs to the operator that writes it; a weight to those that read it, where they agree.
    """
    written: dict[str, str] = {}
    read: dict[str, set[str]] = {}
    for node in model.graph.node:
        scopes = next((entry.value for entry in node.metadata_props if entry.key == NAME_SCOPES), None)
        modules = ast.literal_eval(scopes)[:-1] if scopes else []  # outermost module ... innermost module, operator
        if modules:
            written.update(dict.fromkeys(node.output, str(modules[-1])))
            for value in node.input:
                read.setdefault(value, set()).add(str(modules[-1]))
    weights = [weight.name for weight in model.graph.initializer if len(read.get(weight.name, ())) == 1]
    return {**{name: read[name].pop() for name in weights}, **written}


def node_paths(model: Any, value_paths: Mapping[str, str]) -> dict[str, str]:
    """The module path of each node of a simplified ModelProto, by the node's name."""
    operators = operators_of(model, {})
    readers = Counter(str(value) for op in operators for value in set(op.inputs))
    # onnxsim merges equal weights: those with several readers say nothing about one of them
    weights = {weight.name for weight in model.graph.initializer if readers[weight.name] == 1}
    known: list[str | None] = []
    for op in operators:
        by_output = {value_paths[str(value)] for value in op.outputs if value in value_paths}
        by_weight = {value_paths[str(value)] for value in op.inputs if value in weights and value in value_paths}
        paths = by_output or by_weight
        known.append(paths.pop() if len(paths) == 1 else None)
    return dict(zip((str(op.key) for op in operators), completed(operators, known, CONVERSIONS), strict=True))


def operators_of(model: Any, modules: Mapping[str, str]) -> list[Operator]:
    """The graph of a ModelProto; a node's key is its name.

    Args:
        modules: paths by the node's name.
    """
    return [
        Operator(node.name, node.op_type, tuple(node.input), tuple(node.output), modules.get(node.name, ""))
        for node in model.graph.node
    ]


def operator_facts(model: Any, modules: Mapping[str, str]) -> tuple[OperatorFact, ...]:
    """All operators of a float or quantized ModelProto, in the graph's order.

    `dtype` is that of the value in the file: in a QDQ model an operator between DequantizeLinear and QuantizeLinear
    writes float32, and ONNX Runtime computes it in integers where it has a kernel.

    Args:
        modules: of the float model's nodes, by name; quantization keeps these names.
    """
    nodes, types = model.graph.node, _tensor_types(model)
    paths = completed(operators_of(model, modules), [modules.get(node.name) for node in nodes], CONVERSIONS)
    dequantized = {node.output[0] for node in nodes if node.op_type == "DequantizeLinear"}
    return tuple(
        OperatorFact(
            node.name or node.output[0],
            node.op_type,
            path,
            dtype=types.get(node.output[0], _UNKNOWN).dtype,
            **dataclasses.asdict(_arithmetic(node, types, dequantized)),
        )
        for node, path in zip(nodes, paths, strict=True)
    )


@dataclass(frozen=True)
class _TensorType:
    """numpy's name of the dtype, and the shape; a length that is not known is 0."""

    dtype: str
    shape: tuple[int, ...]


_UNKNOWN = _TensorType("", ())


def _tensor_types(model: Any) -> dict[str, _TensorType]:
    """The type of each value and weight, as far as ONNX infers it."""
    import onnx

    def name(element_type: int) -> str:
        return str(onnx.helper.tensor_dtype_to_np_dtype(element_type).name)

    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {weight.name: _TensorType(name(weight.data_type), tuple(weight.dims)) for weight in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.HasField("tensor_type"):
            tensor = value.type.tensor_type
            types[value.name] = _TensorType(name(tensor.elem_type), tuple(side.dim_value for side in tensor.shape.dim))
    return types


def _arithmetic(node: Any, types: Mapping[str, _TensorType], dequantized: Collection[str]) -> Arithmetic:
    """The multiply-accumulates of a node; int8 where both its operands are integers or come from DequantizeLinear."""
    if node.op_type not in LAYERS:
        return NO_ARITHMETIC
    data, weight, output = (types.get(value, _UNKNOWN).shape for value in (*node.input[:2], node.output[0]))
    if not (data and weight and output):
        return NO_ARITHMETIC
    int8 = node.op_type == "MatMulInteger" or set(node.input[:2]) <= set(dequantized)
    if node.op_type == "Conv":
        return weighted(output, weight, weight[0], int8=int8, depthwise=weight[1] == 1 < data[1])
    if node.op_type == "ConvTranspose":
        return transposed_convolution(data, weight, weight[0], int8=int8)
    return matrix_product(output, data, int8=int8)
