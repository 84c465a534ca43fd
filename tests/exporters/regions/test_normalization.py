from __future__ import annotations

from edgedeploy.exporters import to_executorch, to_onnx
from edgedeploy.exporters.regions import Operator
from edgedeploy.exporters.regions.normalization import normalization
from edgedeploy.exporters.to_tflite import REGION_TYPES

TYPES = REGION_TYPES.normalization


def graph(*lines: str) -> list[Operator]:
    """Operators from lines such as `y = MUL a b`; values that no line writes are inputs or constants."""
    made = []
    for line in lines:
        output, call = line.split(" = ")
        type, *inputs = call.split()
        made.append(Operator(output, type, tuple(inputs), (output,)))
    return made


L2 = ("q = FULLY_CONNECTED x w", "s = MUL q q", "t = SUM s axes", "u = MAXIMUM t eps", "r = RSQRT u", "y = MUL q r")


def test_an_l2_norm_stays_in_float_from_the_square_to_the_product() -> None:
    found = normalization(graph(*L2, "z = FULLY_CONNECTED y w2"), TYPES)
    assert found == ["s", "t", "u", "r", "y"]


def test_a_layer_norm_includes_its_mean_gain_and_bias() -> None:
    found = normalization(
        graph(
            "x = CONV_2D a w",
            "m = MEAN x axes",
            "d = SUB x m",
            "s = MUL d d",
            "v = MEAN s axes",
            "e = ADD v eps",
            "r = RSQRT e",
            "n = MUL d r",
            "g = MUL n gain",
            "b = ADD g bias",
            "z = FULLY_CONNECTED b w2",
        ),
        TYPES,
    )
    assert found == ["m", "d", "s", "v", "e", "r", "n", "g", "b"]


def test_the_converters_own_form_of_a_layer_norm_is_found_too() -> None:
    found = normalization(
        graph(
            "x = CONV_2D a w",
            "m0 = MEAN x axes",
            "m = RESHAPE m0 shape",
            "s = SQUARED_DIFFERENCE x m",
            "v = MEAN s axes",
            "e = ADD v eps",
            "r = RSQRT e",
            "xr = MUL x r",
            "mr = MUL m r",
            "n = SUB xr mr",
            "z = FULLY_CONNECTED n w2",
        ),
        TYPES,
    )
    assert found == ["m0", "m", "s", "v", "e", "r", "xr", "mr", "n"]


def test_a_reciprocal_behind_a_matrix_product_scales_it_in_float() -> None:
    found = normalization(
        graph(*L2[:-1], "p = BATCH_MATMUL q k", "rt = TRANSPOSE r order", "y = MUL p rt", "z = SOFTMAX y"), TYPES
    )
    assert found == ["s", "t", "u", "r", "rt", "y"]


def test_the_residual_around_a_norm_is_quantized() -> None:
    found = normalization(graph(*L2, "z = FULLY_CONNECTED y w2", "out = ADD z x0", "next = MUL out gain"), TYPES)
    assert "out" not in found
    assert "next" not in found


def test_means_without_a_root_are_quantized() -> None:
    assert normalization(graph("m = MEAN x axes", "s = MUL m m", "g = LOGISTIC s", "y = MUL x g"), TYPES) == []


def test_a_root_of_something_else_is_quantized() -> None:
    assert normalization(graph("a = CONV_2D x w", "r = RSQRT a", "y = MUL a r"), TYPES) == []


def test_a_mean_by_a_layer_is_found_and_the_layers_around_the_norm_are_not() -> None:
    norm = (
        "m = aten.conv2d.default x k",
        "d = aten.sub.Tensor x m",
        "s = aten.mul.Tensor d d",
        "v = aten.conv2d.default s k",
        "e = aten.add.Tensor v eps",
        "r = aten.rsqrt.default e",
        "n = aten.mul.Tensor d r",
    )
    types = to_executorch.REGION_TYPES.normalization
    found = normalization(graph("x = aten.conv2d.default a w", *norm, "z = aten.conv2d.default n w2"), types)
    assert found == ["m", "d", "s", "v", "e", "r", "n"]


def test_the_layer_before_an_l2_norm_is_quantized_where_means_are_layers_too() -> None:
    l2 = (
        "q = aten.linear.default x w",
        "s = aten.mul.Tensor q q",
        "t = aten.sum.dim_IntList s",
        "r = aten.rsqrt.default t",
        "y = aten.mul.Tensor q r",
    )
    assert normalization(graph(*l2), to_executorch.REGION_TYPES.normalization) == ["s", "t", "r", "y"]


def test_a_pooling_before_a_norm_stays_in_float_with_it() -> None:
    found = normalization(
        graph(
            "x = MEAN map sides",
            "m = MEAN x axes",
            "d = SUB x m",
            "s = MUL d d",
            "v = MEAN s axes",
            "r = RSQRT v",
            "n = MUL d r",
            "z = FULLY_CONNECTED n w",
        ),
        TYPES,
    )
    assert found == ["x", "m", "d", "s", "v", "r", "n"]


WHOLE_NORM = ("x = Conv a w", "m = ReduceMean x axes", "v = Reshape m shape", "n = InstanceNormalization v g b")


def test_a_pooling_before_a_norm_of_one_operator_is_in_float_too() -> None:
    types = to_onnx.REGION_TYPES.normalization
    assert normalization(graph(*WHOLE_NORM, "z = Gemm n w2"), types) == ["m", "v", "n"]


def test_a_pooling_behind_a_norm_is_in_float_too() -> None:
    types = to_onnx.REGION_TYPES.normalization
    found = normalization(graph("n = LayerNormalization x g b", "v = Reshape n s", "m = ReduceMean v axes"), types)
    assert found == ["n", "v", "m"]
    of_parts = normalization(graph(*L2, "m = MEAN y axes", "z = FULLY_CONNECTED m w2"), TYPES)
    assert of_parts == ["s", "t", "u", "r", "y", "m"]


def test_a_pooling_whose_value_a_layer_reads_too_is_quantized() -> None:
    types = to_onnx.REGION_TYPES.normalization
    assert normalization(graph(*WHOLE_NORM, "z = Gemm v w2"), types) == []
    assert normalization(graph("n = LayerNormalization x g b", "m = ReduceMean n axes", "z = Gemm n w2"), types) == []
