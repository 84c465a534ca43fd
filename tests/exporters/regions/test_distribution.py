from __future__ import annotations

from edgedeploy.exporters.regions.distribution import distributions
from edgedeploy.exporters.to_tflite import REGION_TYPES

from .test_normalization import graph


def region(*lines: str) -> list[object]:
    return distributions(graph(*lines), REGION_TYPES.distribution)


def test_attention_is_quantized() -> None:
    assert region("a = BATCH_MATMUL q k", "s = SOFTMAX a", "r = RESHAPE s shape", "y = BATCH_MATMUL r v") == []


def test_a_softmax_that_no_matrix_product_reads_stays_in_float() -> None:
    assert region("a = CONV_2D x w", "s = SOFTMAX a") == ["s"]
    assert region("a = CONV_2D x w", "s = SOFTMAX a", "r = RESHAPE s shape", "y = MUL r a") == ["s"]


def test_coordinates_that_a_heat_map_expects_stay_in_float() -> None:
    lines = (
        "a = CONV_2D x w",
        "s = SOFTMAX a",
        "r = RESHAPE s shape",
        "t = SUM r axes",
        "y = MUL t places",
        "z = SUM y axes",
    )
    joined = (*lines, "c = CONCATENATION z t", "d = CONV_2D c w2")
    assert region(*joined) == ["s", "r", "t", "y", "z", "c"]
    assert region(*lines, "b = CONV_2D a w2", "c = CONCATENATION z b") == ["s", "r", "t", "y", "z"]


def test_masked_attention_stays_in_float_from_the_choice() -> None:
    lines = ("a = BATCH_MATMUL q k", "c = SELECT_V2 keep a least", "r = RESHAPE c shape", "s = SOFTMAX r")
    assert region(*lines, "y = BATCH_MATMUL s v") == ["c", "r", "s"]
