from __future__ import annotations

import pytest
from ai_edge_litert import schema_py_generated as schema

from edgedeploy.exporters.tflite_edits.activations import drop_implied_activations
from edgedeploy.exporters.tflite_edits.editable_file import EditableFile
from edgedeploy.exporters.tflite_file import read_tree

from .tflite_files import File

RELU, RELU6 = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.RELU6


def dropped(activation: int, scale: float, zero_point: int) -> int:
    """How many activations are left out of a file of one int8 sum with this one."""
    file = File([2, 3], [2, 3])
    total = file.add("ADD", [0, 1], [2, 3])
    for tensor in file.graph.tensors:
        tensor.type, tensor.quantization = schema.TensorType.INT8, schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
    file.graph.operators[0].builtinOptions.fusedActivationFunction = activation
    edited = EditableFile(read_tree(file.of_outputs(total)))
    count = drop_implied_activations(edited)
    assert (edited.graph.operators[0].builtinOptions.fusedActivationFunction == 0) == bool(count)
    return count


@pytest.mark.parametrize(("activation", "scale"), [(RELU, 0.1), (RELU6, 6 / 255), (RELU6, 0.01)])
def test_an_activation_that_the_range_implies_is_left_out(activation: int, scale: float) -> None:
    assert dropped(activation, scale, -128) == 1


@pytest.mark.parametrize(
    ("activation", "scale", "zero_point"), [(RELU, 0.1, -127), (RELU6, 0.1, -128), (RELU6, 6 / 250, -128)]
)
def test_one_that_changes_values_stays(activation: int, scale: float, zero_point: int) -> None:
    assert dropped(activation, scale, zero_point) == 0
