from __future__ import annotations

import pytest

from edgedeploy.exporters.regions.division import division
from edgedeploy.exporters.to_onnx import REGION_TYPES as ONNX
from edgedeploy.exporters.to_tflite import REGION_TYPES as TFLITE

from .test_normalization import graph


def region(*lines: str) -> list[object]:
    return division(graph(*lines), TFLITE.division)


LINEAR_ATTENTION = (
    "q = CONV_2D x w", "kv = BATCH_MATMUL k v", "p = BATCH_MATMUL kv q", "n = SLICE p first", "d = SLICE p last",
    "e = ADD d eps",
)  # fmt: skip


def test_a_division_stays_in_float_with_its_divisor_and_the_product_behind_both() -> None:
    assert region(*LINEAR_ATTENTION, "y = DIV n e", "z = CONV_2D y w2") == ["p", "n", "d", "e", "y"]


def test_a_reciprocal_is_a_division_wherever_it_multiplies() -> None:
    lines = ("r = DIV one e", "rs = RESHAPE r shape", "y = MUL n rs", "z = MUL y gain")
    assert region(*LINEAR_ATTENTION, *lines) == ["p", "n", "d", "e", "r", "rs", "y"]
    onnx = graph("p = MatMul q k", "s = ReduceSum p axes", "r = Reciprocal s", "y = Mul p r", "z = Conv y w")
    assert division(onnx, ONNX.division) == ["p", "s", "r", "y"]


def test_a_divisor_from_a_layer_leaves_the_layer_quantized() -> None:
    assert region("a = CONV_2D x w", "s = LOGISTIC a", "b = CONV_2D x w2", "y = DIV b s") == ["s", "y"]


@pytest.mark.parametrize("line", ["y = DIV a six", "y = MUL a third"])
def test_a_division_by_a_constant_is_quantized(line: str) -> None:
    assert region("a = CONV_2D x w", line) == []


def test_the_operator_with_several_operands_that_a_divisor_comes_from_ends_the_region() -> None:
    lines = ("a = CONV_2D x w", "r = RELU a", "b = ADD a r", "s = SUM b axes", "y = DIV r s", "c = CONV_2D y w2")
    assert region(*lines) == ["b", "s", "y"]


def test_the_root_of_a_square_leaves_the_linear_layer_before_it_quantized() -> None:
    onnx = graph(
        "a = MatMul x w", "b = Add a bias", "q = Mul b b", "s = ReduceSum q axes", "t = Sqrt s", "r = Reciprocal t",
        "y = Mul b r",
    )  # fmt: skip
    assert division(onnx, ONNX.division) == ["q", "s", "t", "r", "y"]
