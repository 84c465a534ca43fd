"""Logits are float: the last layer's input is rounded by its own range in each run, and its product is not rounded.

    QuantizeLinear -> DequantizeLinear -> Gemm, or Conv 1x1 of one pixel -> [conversions, views]* -> output

      ->   Clip -> DynamicQuantizeLinear -> MatMulInteger -> Mul by both scales -> Add the bias -> output

ONNX Runtime makes one kernel of the last four (DynamicQuantizeMatMul). Why: see `operators/output_layers.py`; EdgeNeXt with
BatchNorm and hard swish has 56.7 dB instead of 52.0. The weights become uint8 with the zero point 128, the same numbers: on
x86 without VNNI a product of uint8 and int8 overflows in ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedeploy.exporters.ranges import Range

from .qdq_graph import QdqGraph, shapes_of

BETWEEN = ("DequantizeLinear", "QuantizeLinear", "Reshape", "Flatten", "Squeeze")
MEANS = ("GlobalAveragePool", "AveragePool", "ReduceMean")
UINT8_ZERO = 128  # the code that stands for 0


def float_outputs(model: Any, clip_ranges: Mapping[str, Range]) -> int:
    """Changes a quantized ModelProto in place; returns how many outputs are float products now.

    Args:
        clip_ranges: what the input of such a layer is clipped to, by the float value's name.

    An output of another shape than (1, channels) stays as it is, and one that another layer gives.
    """
    graph, done = QdqGraph(model), 0
    shapes = shapes_of(model.graph.output)
    for output, shape in shapes.items():
        path = _path_to_layer(graph, output) if len(shape) == 2 else []
        if len(path) < 2 or not _has_float_product(graph, path[-1], shape):
            continue
        path[0].output[0] = f"{output}_rounded"
        _make_product(graph, path[-1], output, clip_ranges)
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
        return all(attribute.f == 1.0 for attribute in layer.attribute if attribute.name in ("alpha", "beta"))
    groups = next((attribute.i for attribute in layer.attribute if attribute.name == "group"), 1)
    return groups == 1 and list(weight.dims[2:]) == [1, 1] and shape == [1, weight.dims[0]]


def _make_product(graph: QdqGraph, layer: Any, output: str, clip_ranges: Mapping[str, Range]) -> None:
    """Puts a product that writes `output` in a layer's place; the last of its nodes has the layer's name."""
    from onnx import TensorProto, helper, numpy_helper

    dequantize, dequantize_weight, *dequantize_bias = (graph.writers[v] for v in layer.input if v in graph.writers)
    quantize = graph.writers[dequantize.input[0]]
    weight, scale = (numpy_helper.to_array(graph.constants[name]) for name in dequantize_weight.input[:2])
    name = f"{layer.output[0]}_dynamic"
    x, clipped, codes, x_scale, zero_point, sums, real, scales, product = (
        f"{name}_{part}"
        for part in ("flat", "clipped", "codes", "scale", "zero_point", "sums", "real", "scales", "product")
    )
    matrix = graph.add_constant(f"{name}_matrix", (_columns(layer, weight) + UINT8_ZERO).astype(np.uint8))
    zero = graph.add_constant(f"{name}_matrix_zero_point", np.uint8(UINT8_ZERO))
    weight_scales = graph.add_constant(f"{name}_matrix_scales", scale.reshape(-1))
    bias = graph.add_constant(f"{name}_bias", _bias(graph, layer))
    clip = clip_ranges[quantize.input[0]]
    ends = [
        graph.add_constant(f"{name}_low", np.float32(clip.low)),
        graph.add_constant(f"{name}_high", np.float32(clip.high)),
    ]

    def node(type: str, inputs: list[str], *outputs: str, **attributes: Any) -> Any:
        return helper.make_node(type, inputs, [*outputs], name=f"{outputs[0]}_{type.lower()}", **attributes)

    new = [
        node("Flatten", [quantize.input[0]], x, axis=1),
        node("Clip", [x, *ends], clipped),
        node("DynamicQuantizeLinear", [clipped], codes, x_scale, zero_point),
        node("MatMulInteger", [codes, matrix, zero_point, zero], sums),
        node("Cast", [sums], real, to=TensorProto.FLOAT),
        node("Mul", [x_scale, weight_scales], scales),
        node("Mul", [real, scales], product),
        helper.make_node("Add", [product, bias], [output], name=layer.name),
    ]
    graph.replace(layer, new)
    for unread in (dequantize, quantize, dequantize_weight, *dequantize_bias):
        graph.remove_unread(unread)
    for constant in layer.input[2:]:
        graph.remove_unread_constant(constant)
    _unround(graph, quantize.input[0])


def _columns(layer: Any, weight: NDArray[Any]) -> NDArray[np.int16]:
    """The weights of a layer as (inputs, outputs)."""
    if layer.op_type == "Conv":
        weight = weight[:, :, 0, 0].T
    elif any(attribute.i for attribute in layer.attribute if attribute.name == "transB"):
        weight = weight.T
    return weight.astype(np.int16)


def _bias(graph: QdqGraph, layer: Any) -> NDArray[np.float32]:
    """A layer's bias in float, also where the file has it in integers; one 0 for a layer without."""
    from onnx import numpy_helper

    if len(layer.input) < 3:
        return np.zeros(1, np.float32)
    dequantize = graph.writers.get(layer.input[2])
    if dequantize is None:
        return numpy_helper.to_array(graph.constants[layer.input[2]])
    codes, scale = (numpy_helper.to_array(graph.constants[name]) for name in dequantize.input[:2])
    return (codes * scale.astype(np.float64)).astype(np.float32)


def _unround(graph: QdqGraph, value: str) -> None:
    """Takes the conversions away between a mean over positions and a value, maybe with views between.

    A mean in integers would be rounded twice.
    """
    between: list[Any] = []
    while (node := graph.writers.get(value)) is not None and len(graph.readers(value)) == 1:
        if node.op_type in MEANS:
            break
        if node.op_type not in BETWEEN:
            return
        between.append(node)
        value = node.input[0]
    else:
        return
    for quantize in [node for node in between if node.op_type == "QuantizeLinear"]:
        (dequantize,) = graph.readers(quantize.output[0])
        (reader,) = graph.readers(dequantize.output[0])
        reader.input[0] = quantize.input[0]
        graph.remove_unread(dequantize)
        graph.remove_unread(quantize)
