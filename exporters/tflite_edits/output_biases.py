"""The biases of the layers that give a .tflite file's float outputs, which take what the outputs lack on average."""

from __future__ import annotations

from typing import Any

import numpy as np

from .editable_file import LEFT_OUT, RESHAPE, EditableFile

LAYERS = ("FULLY_CONNECTED", "CONV_2D")


def layers_of_outputs(file: EditableFile) -> dict[int, Any]:
    """The layers with a float bias that give an output, (batch, channels), and nothing else, by the output's number."""
    found = {}
    for index, output in enumerate(map(int, file.graph.outputs)):
        value, layer = output, file.producers.get(output)
        read_once = not file.readers(output)
        while layer is not None and file.type(layer) == RESHAPE and read_once:
            value = int(layer.inputs[0])
            read_once = value not in file.graph.outputs and len(file.readers(value)) == 1
            layer = file.producers.get(value)
        if read_once and layer is not None and file.type(layer) in LAYERS and _has_float_bias(file, layer):
            found[index] = layer
    return found


def add_to_bias(file: EditableFile, layer: Any, correction: Any) -> None:
    """Adds (channels,) to the bias of a layer that `layers_of_outputs` found."""
    bias = int(layer.inputs[2])
    file.set_floats(bias, (file.floats(bias) + correction).astype(np.float32))


def _has_float_bias(file: EditableFile, layer: Any) -> bool:
    """Whether its bias is a float constant that it alone reads, and no activation follows."""
    from ai_edge_litert import schema_py_generated as schema

    if len(layer.inputs) < 3 or layer.inputs[2] == LEFT_OUT:
        return False
    bias = int(layer.inputs[2])
    is_float = file.graph.tensors[bias].type == schema.TensorType.FLOAT32 and file.floats(bias).size > 0
    activation = layer.builtinOptions.fusedActivationFunction
    return is_float and activation == schema.ActivationFunctionType.NONE and len(file.readers(bias)) == 1
