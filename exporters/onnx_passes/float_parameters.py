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
    from onnx import numpy_helper

    graph, done = QdqGraph(model), 0
    originals = {node.name: node for node in source.graph.node}
    floats = {constant.name: constant for constant in source.graph.initializer}
    for node in [node for node in graph.nodes if node.op_type in NORMS and node.name in originals]:
        for index in range(1, len(node.input)):
            name = originals[node.name].input[index]
            conversion = graph.writers.get(node.input[index])
            if conversion is None or conversion.op_type != "DequantizeLinear" or name not in floats:
                continue
            restored = f"{name}_float"  # the quantizer may have given the name itself to its conversion
            if restored not in graph.constants:
                graph.add_constant(restored, numpy_helper.to_array(floats[name]))
            node.input[index] = restored
            graph.remove_unread(conversion)
            done += 1
    return done
