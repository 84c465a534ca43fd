from __future__ import annotations

from edgedeploy.exporters import to_onnx, to_tflite
from edgedeploy.exporters.regions import RegionTypes
from edgedeploy.exporters.regions.normalization import normalization
from edgedeploy.exporters.regions.residual import residual

from .test_normalization import graph

TRANSFORMER = (
    "x = Conv image w",
    "c = Concat token x",
    "s = Add c places",
    "n = LayerNormalization s g b",
    "y = MatMul n w1",
    "t = Add s y",
    "m = LayerNormalization t g b",
    "z = MatMul m w2",
)


def region(*lines: str, types: RegionTypes = to_onnx.REGION_TYPES) -> list[object]:
    operators = graph(*lines)
    return residual(operators, types.residual, normalization(operators, types.normalization))


def test_the_stream_of_a_transformer_stays_in_float_with_its_norms() -> None:
    assert region(*TRANSFORMER) == ["c", "s", "n", "t", "m"]


def test_a_sum_that_a_layer_reads_stays_in_int8_and_so_does_what_is_added_into_it() -> None:
    assert region(*TRANSFORMER, "e = Add t z", "f = Conv e w3") == []


def test_a_bias_behind_a_matrix_product_is_no_addition_of_a_stream() -> None:
    assert region("y = MatMul x w", "z = Add y bias", "n = LayerNormalization z g b") == []


def test_what_only_moves_the_results_of_a_layer_stays_in_int8() -> None:
    lines = (
        "a = Conv x w",
        "r = Reshape a shape",
        "m = LayerNormalization r g b",
        "b = Conv m w2",
        "s = Reshape b shape",
    )
    assert region(*lines, "y = Add r s", "t = Reshape y shape", "n = LayerNormalization t g b") == ["y", "t", "n"]
    assert region(*lines, "n = LayerNormalization s g b") == []


def test_a_sum_of_two_layers_that_no_norm_reads_before_stays_in_int8() -> None:
    assert region("a = Conv x w", "c = Conv x w2", "y = Add a c", "n = LayerNormalization y g b") == []


def test_a_norm_of_several_operators_is_found_by_its_region() -> None:
    lines = (
        "x = FULLY_CONNECTED x0 w0",
        "o = MEAN x axis",
        "p = SQUARED_DIFFERENCE x o",
        "u = MEAN p axis",
        "s = RSQRT u",
        "y = FULLY_CONNECTED s w",
        "a = ADD x y",
        "m = MEAN a axis",
        "d = SUB a m",
        "q = MUL d d",
        "v = MEAN q axis",
        "e = ADD v eps",
        "r = RSQRT e",
        "n = MUL d r",
        "z = FULLY_CONNECTED n w2",
    )
    assert region(*lines, types=to_tflite.REGION_TYPES) == ["a"]
    assert region(*lines, "f = CONV_2D a w3", types=to_tflite.REGION_TYPES) == []


def test_a_sum_that_is_transposed_before_its_norm_stays_in_int8() -> None:
    lines = ("a = Conv x w", "m = LayerNormalization a g b", "b = Conv m w2", "y = Add a b", "t = Transpose y")
    assert region(*lines, "n = LayerNormalization t g b") == []


def test_a_sum_whose_view_a_norm_reads_is_a_stream() -> None:
    lines = (
        "a = Conv x w",
        "r = Reshape a shape",
        "m = InstanceNormalization r g b",
        "b = Conv m w2",
        "y = Add a b",
        "t = Reshape y shape",
        "n = InstanceNormalization t g b",
    )
    assert region(*lines) == ["y", "t", "n"]
