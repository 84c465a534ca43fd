"""The layers that give a .tflite file's float outputs: their weights and biases take what the outputs are off by."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgedeploy.exporters.operators.output_correction import Correction
from edgedeploy.exporters.operators.output_layers import output_layers
from edgedeploy.exporters.tflite_file import FileGraph
from edgedeploy.exporters.tflite_operators import operators_of

from .editable_file import LEFT_OUT, RESHAPE, EditableFile

LAYERS = ("FULLY_CONNECTED", "CONV_2D")


def layers_of_outputs(file: EditableFile, graph: FileGraph) -> dict[int, Any]:
    """The layers of constants that give an output, (batch, channels), and nothing else, by the output's number.

    Args:
        graph: the file's, as `read_graph` gives it.
    """
    operators = operators_of(graph, [""] * len(graph.operators))
    found = output_layers(operators, graph.outputs, lambda value: graph.tensors[value].shape, LAYERS, (RESHAPE,))
    layers = {one.output: file.graph.operators[one.layer] for one in found}
    return {number: layer for number, layer in layers.items() if _has_constants(file, layer)}


def correct(file: EditableFile, layer: Any, correction: Correction) -> None:
    """Scales weights and bias of a layer that `layers_of_outputs` found, and adds to the bias."""
    weights, bias = (int(value) for value in layer.inputs[1:3])
    file.scale_constant(weights, correction.gain)
    file.set_floats(bias, (file.floats(bias) * correction.gain + correction.shift).astype(np.float32))


def _has_constants(file: EditableFile, layer: Any) -> bool:
    """Whether its weights and its float bias are constants that it alone reads, and no activation follows."""
    from ai_edge_litert import schema_py_generated as schema

    if len(layer.inputs) < 3 or layer.inputs[2] == LEFT_OUT:
        return False
    weights, bias = (int(value) for value in layer.inputs[1:3])
    is_float = file.graph.tensors[bias].type == schema.TensorType.FLOAT32 and file.floats(bias).size > 0
    activation = layer.builtinOptions.fusedActivationFunction
    alone = all(len(file.readers(value)) == 1 for value in (weights, bias))
    return is_float and activation == schema.ActivationFunctionType.NONE and alone and file.is_scalable(weights)
