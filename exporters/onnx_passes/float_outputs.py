"""Logits stay float: the last layer's int8 operands give a float product.

    Gemm, or Conv 1x1 of one pixel -> [QuantizeLinear -> DequantizeLinear -> Reshape]* -> output    =    Gemm -> output

ONNX Runtime makes one integer kernel of the Gemm (QGemm), whose result is not rounded to int8. It has no such kernel for a
convolution.
"""

from __future__ import annotations

from typing import Any

from .qdq_graph import QdqGraph, shapes_of

BETWEEN = ("DequantizeLinear", "QuantizeLinear", "Reshape", "Flatten", "Squeeze")


def float_outputs(model: Any) -> int:
    """Changes a quantized ModelProto in place; returns how many outputs are float products now.

    An output of another shape than (1, channels) stays as it is, and one that another layer gives.
    """
    graph, done = QdqGraph(model), 0
    shapes = shapes_of(model.graph.output)
    for output, shape in shapes.items():
        path = _path_to_layer(graph, output) if len(shape) == 2 else []
        if len(path) < 2 or not _has_float_product(graph, path[-1], shape):
            continue
        path[0].output[0] = f"{output}_rounded"
        if path[-1].op_type == "Gemm":
            path[-1].output[0] = output
        else:
            _make_product(graph, path[-1], output)
        for node in path[:-1]:
            graph.remove_unread(node)
        done += 1
    return done


def _path_to_layer(graph: QdqGraph, output: str) -> list[Any]:
    """The nodes from an output up to a layer, which nothing else reads; empty where another operator is met."""
    path: list[Any] = []
    value = output
    while (node := graph.writers.get(value)) is not None:
        if len(graph.readers(value)) != (0 if value == output else 1):
            return []
        path.append(node)
        if node.op_type in ("Conv", "Gemm"):
            return path
        if node.op_type not in BETWEEN:
            return []
        value = node.input[0]
    return []


def _has_float_product(graph: QdqGraph, layer: Any, shape: list[int]) -> bool:
    """Whether it has quantized operands, and is a Gemm or a convolution of one pixel, as the network's output shows.

    Args:
        shape: of the network's output.
    """
    activation, weights = (graph.writers.get(name) for name in layer.input[:2])
    if activation is None or weights is None or {activation.op_type, weights.op_type} != {"DequantizeLinear"}:
        return False
    quantize, weight = graph.writers.get(activation.input[0]), graph.constants.get(weights.input[0])
    if quantize is None or quantize.op_type != "QuantizeLinear" or weight is None:
        return False
    if layer.op_type == "Gemm":
        return True
    groups = next((attribute.i for attribute in layer.attribute if attribute.name == "group"), 1)
    return groups == 1 and list(weight.dims[2:]) == [1, 1] and shape == [1, weight.dims[0]]


def _make_product(graph: QdqGraph, layer: Any, output: str) -> None:
    """Puts Gemm, which writes `output`, in the place of a convolution."""
    from onnx import helper, numpy_helper

    dequantize, dequantize_weight = (graph.writers[name] for name in layer.input[:2])
    quantize = graph.writers[dequantize.input[0]]
    weight = numpy_helper.to_array(graph.constants[dequantize_weight.input[0]])
    name = layer.output[0]
    matrix = graph.add_constant(f"{name}_matrix", weight[:, :, 0, 0].T.copy())
    flat, integer, real, columns = (f"{name}_{end}" for end in ("flat", "integer", "real", "columns"))
    new = [
        helper.make_node("Flatten", [quantize.input[0]], [flat], name=f"{name}_flatten", axis=1),
        helper.make_node("QuantizeLinear", [flat, *quantize.input[1:]], [integer], name=f"{name}_quantize"),
        helper.make_node("DequantizeLinear", [integer, *dequantize.input[1:]], [real], name=f"{name}_dequantize"),
        helper.make_node(
            "DequantizeLinear", [matrix, *dequantize_weight.input[1:]], [columns], name=f"{name}_columns", axis=1
        ),
        helper.make_node("Gemm", [real, columns, *layer.input[2:]], [output], name=layer.name),
    ]
    graph.replace(layer, new)
    for node in (dequantize, quantize, dequantize_weight):
        graph.remove_unread(node)
