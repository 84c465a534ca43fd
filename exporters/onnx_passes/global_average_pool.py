"""Means over all positions -> GlobalAveragePool.

torch.onnx writes every mean as ReduceMean, which ONNX Runtime has in float only. In an int8 model, whose maps are channels
last, it takes 5 instructions a value on Arm, and conversions around it 1.4; GlobalAveragePool has an int8 kernel. In float
both take the same.

The kernel pays where its input is int8 anyway. A map that only the pooling would make int8, such as that of a float hard
swish, loses three decibels for it (MobileNetV3-Large: 26.5 instead of 29.4 dB). So this pooling stays in float.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .qdq_graph import QdqGraph, shapes_of

VIEWS = ("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze")


def use_global_average_pool(model: Any) -> int:
    """Changes a float ModelProto in place; returns how many means were replaced.

    Nodes and values keep their names. Behind one that drops the positions it has averaged comes a Reshape.
    """
    from onnx import helper, numpy_helper, shape_inference

    inferred = shape_inference.infer_shapes(model).graph
    shapes = shapes_of((*inferred.input, *inferred.value_info, *inferred.output))
    graph, done = QdqGraph(model), 0
    for node in [node for node in graph.nodes if node.op_type == "ReduceMean" and len(node.input) == 2]:
        shape, axes = shapes.get(node.input[0], []), graph.constants.get(node.input[1])
        if axes is None or len(shape) < 3 or not all(shape):
            continue
        if sorted(axis % len(shape) for axis in numpy_helper.to_array(axes)) != list(range(2, len(shape))):
            continue
        keeps_positions = all(attribute.i for attribute in node.attribute if attribute.name == "keepdims")
        output = node.output[0]
        node.op_type = "GlobalAveragePool"
        del node.input[1:], node.attribute[:]
        if not keeps_positions:
            node.output[0] = f"{output}_with_positions"
            target = graph.add_constant(f"{output}_shape", shape[:2])
            view = helper.make_node("Reshape", [node.output[0], target], [output], f"{node.name}_reshape")
            view.metadata_props.extend(node.metadata_props)
            graph.nodes.insert(list(graph.nodes).index(node) + 1, view)
        done += 1
    return done


def poolings_of_float_maps(model: Any, in_float: Collection[str], in_int8: Collection[str]) -> list[str]:
    """Names of the poolings of maps that no int8 operator writes, and none but poolings reads.

    Args:
        in_float: names of the nodes that the recipe has in float.
        in_int8: the operator types that onnxruntime's quantizer has.
    """
    graph = QdqGraph(model)

    def is_int8(node: Any) -> bool:
        return node.op_type in in_int8 and node.name not in in_float

    def is_float(value: str) -> bool:
        writer = graph.writers.get(value)
        others = [node for node in graph.readers(value) if node.op_type not in ("GlobalAveragePool", *VIEWS)]
        if writer is None or any(is_int8(node) for node in others):
            return False
        return is_float(writer.input[0]) if writer.op_type in VIEWS else not is_int8(writer)

    return [node.name for node in graph.nodes if node.op_type == "GlobalAveragePool" and is_float(node.input[0])]
