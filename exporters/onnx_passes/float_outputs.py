"""Logits stay float: the last layer's int8 operands give a float product.

    Conv 1x1 of one pixel -> [QuantizeLinear -> DequantizeLinear -> Reshape]* -> output
    =    MatMul -> Add -> output

ONNX Runtime makes one integer kernel of the MatMul (MatMulIntegerToFloat), whose result is not rounded to int8. It has no
such kernel for a convolution.
"""

from __future__ import annotations

from typing import Any

from .qdq_graph import QdqGraph

BETWEEN = ("DequantizeLinear", "QuantizeLinear", "Reshape", "Flatten", "Squeeze")


def float_outputs(model: Any) -> int:
    """Changes a quantized ModelProto in place; returns how many outputs are float products now.

    An output of another shape than (1, channels) stays as it is, and one that another layer gives.
    """
    graph, done = QdqGraph(model), 0
    shapes = {value.name: [side.dim_value for side in value.type.tensor_type.shape.dim] for value in model.graph.output}
    for output, shape in shapes.items():
        path = _path_to_layer(graph, output) if len(shape) == 2 else []
        if path and _is_pointwise(graph, path[-1], shape):
            _make_product(graph, path, output)
            done += 1
    return done


def _path_to_layer(graph: QdqGraph, output: str) -> list[Any]:
    """The nodes from an output up to a convolution, which nothing else reads; empty where another operator is met."""
    path: list[Any] = []
    value = output
    while (node := graph.writers.get(value)) is not None:
        if len(graph.readers(value)) != (0 if value == output else 1):
            return []
        path.append(node)
        if node.op_type == "Conv":
            return path
        if node.op_type not in BETWEEN:
            return []
        value = node.input[0]
    return []


def _is_pointwise(graph: QdqGraph, layer: Any, shape: list[int]) -> bool:
    """Whether it has quantized operands, a 1x1 weight, and an output of one pixel, which the network's output shows.

    Args:
        shape: of the network's output.
    """
    activation, weights = (graph.writers.get(name) for name in layer.input[:2])
    if activation is None or weights is None or {activation.op_type, weights.op_type} != {"DequantizeLinear"}:
        return False
    quantize, weight = graph.writers.get(activation.input[0]), graph.constants.get(weights.input[0])
    if quantize is None or quantize.op_type != "QuantizeLinear" or weight is None or list(weight.dims[2:]) != [1, 1]:
        return False
    groups = next((attribute.i for attribute in layer.attribute if attribute.name == "group"), 1)
    return groups == 1 and shape == [1, weight.dims[0]]


def _make_product(graph: QdqGraph, path: list[Any], output: str) -> None:
    """Puts MatMul and Add in the place of a path from an output up to its convolution."""
    from onnx import helper, numpy_helper

    *after, layer = path
    after[0].output[0] = f"{output}_of_convolution"
    dequantize, dequantize_weight = (graph.writers[name] for name in layer.input[:2])
    quantize = graph.writers[dequantize.input[0]]
    weight = numpy_helper.to_array(graph.constants[dequantize_weight.input[0]])
    name = layer.output[0]
    matrix = graph.add_constant(f"{name}_matrix", weight[:, :, 0, 0].T.copy())
    flat, integer, real, columns, product = (
        f"{name}_{end}" for end in ("flat", "integer", "real", "columns", "product")
    )
    new = [
        helper.make_node("Flatten", [quantize.input[0]], [flat], name=f"{name}_flatten", axis=1),
        helper.make_node("QuantizeLinear", [flat, *quantize.input[1:]], [integer], name=f"{name}_quantize"),
        helper.make_node("DequantizeLinear", [integer, *dequantize.input[1:]], [real], name=f"{name}_dequantize"),
        helper.make_node(
            "DequantizeLinear", [matrix, *dequantize_weight.input[1:]], [columns], name=f"{name}_columns", axis=1
        ),
        helper.make_node("MatMul", [real, columns], [product], name=layer.name),
    ]
    if len(layer.input) > 2:
        new.append(helper.make_node("Add", [product, layer.input[2]], [output], name=f"{name}_bias"))
    else:
        new[-1].output[0] = output
    graph.replace(layer, new)
    for node in (*after, dequantize, quantize, dequantize_weight):
        graph.remove_unread(node)
