"""Activations of a quantized .tflite file's sums and products that their result's range implies: they are left out.

A ReLU behind an int8 ADD is a part of it in the file, but an operator of its own to XNNPACK, whose sums have no bounds. A
result whose zero point is -128 has no values below 0, and one whose 6 is 127 none above.
"""

from __future__ import annotations

from .editable_file import EditableFile

ELEMENTWISE = ("ADD", "SUB", "MUL")
LOWEST, HIGHEST = -128, 127


def drop_implied_activations(file: EditableFile) -> int:
    """Leaves out the activations that change no value; returns how many."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.ActivationFunctionType
    dropped = 0
    for op in (op for op in file.graph.operators if file.type(op) in ELEMENTWISE):
        kind, result = op.builtinOptions.fusedActivationFunction, file.graph.tensors[int(op.outputs[0])]
        if result.type != schema.TensorType.INT8 or kind not in (kinds.RELU, kinds.RELU6):
            continue
        scale, zero_point = float(result.quantization.scale[0]), int(result.quantization.zeroPoint[0])
        if zero_point == LOWEST and (kind == kinds.RELU or zero_point + round(6 / scale) >= HIGHEST):
            op.builtinOptions.fusedActivationFunction = kinds.NONE
            dropped += 1
    return dropped
