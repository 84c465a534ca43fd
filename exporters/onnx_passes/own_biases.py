"""A bias that several layers read  ->  one for each of them, before quantization.

onnxruntime's quantizer does the same, since a bias has the scale of its layer's input; but it numbers the copies by the
names of constants alone, and a copy of `val_12` may be named `val_129` as an operator's output already is. Then the layer
reads that output, or the quantizer fails. torch.onnx merges equal constants and names them so.
"""

from __future__ import annotations

from typing import Any

LAYERS = ("Conv", "ConvTranspose", "Gemm", "InstanceNormalization", "LayerNormalization")
BIAS = 2  # its position among the inputs


def own_biases(model: Any) -> int:
    """Changes a float ModelProto in place; returns how many copies were made."""
    from onnx import TensorProto

    constants = {constant.name: constant for constant in model.graph.initializer}
    taken = set(constants) | {name for node in model.graph.node for name in (*node.input, *node.output)}
    seen: set[str] = set()
    done = 0
    for node in model.graph.node:
        if node.op_type not in LAYERS or len(node.input) <= BIAS or node.input[BIAS] not in constants:
            continue
        name = node.input[BIAS]
        if name in seen:
            copy = TensorProto()
            copy.CopyFrom(constants[name])
            copy.name = f"{name}_of_{node.output[0]}"
            assert copy.name not in taken, "an output has one writer"
            model.graph.initializer.append(copy)
            node.input[BIAS] = copy.name
            done += 1
        seen.add(name)
    return done
