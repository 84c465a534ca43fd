"""int8 parameters of norms -> float ones.

onnxruntime's quantizer stores gain and bias of a norm in eight bits, although ONNX Runtime computes norms in float: they
are dequantized again in every inference, and are less exact.
"""

from __future__ import annotations

from typing import Any

from .qdq_graph import QdqGraph

NORMS = ("LayerNormalization", "InstanceNormalization")


def restore_float_parameters(model: Any, source: Any) -> int:
    """Changes a quantized ModelProto in place; returns how many parameters became float again.

    Args:
        source: the float ModelProto that it was made of. Nodes keep their names.
    """
    graph, done = QdqGraph(model), 0
    originals = {node.name: node for node in source.graph.node}
    floats = {constant.name: constant for constant in source.graph.initializer}
    for node in [node for node in graph.nodes if node.op_type in NORMS and node.name in originals]:
        for index in range(1, len(node.input)):
            done += restore_float_constant(graph, node, index, floats.get(originals[node.name].input[index]))
    return done


def restore_float_constant(graph: QdqGraph, node: Any, index: int, original: Any) -> bool:
    """Makes a node read a constant that was quantized as the float one again; returns whether it was quantized.

    Args:
        index: of the node's input.
        original: the float constant (TensorProto) that it was; None where it was none.
    """
    from onnx import numpy_helper

    conversion = graph.writers.get(node.input[index])
    if conversion is None or conversion.op_type != "DequantizeLinear" or original is None:
        return False
    restored = f"{original.name}_float"  # the quantizer may have given the name itself to its conversion
    if restored not in graph.constants:
        graph.add_constant(restored, numpy_helper.to_array(original))
    node.input[index] = restored
    graph.remove_unread(conversion)
    return True
