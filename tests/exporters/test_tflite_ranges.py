from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from edgedeploy.core.recipes import STATIC_INT8
from edgedeploy.exporters.ranges import symmetric
from edgedeploy.exporters.tflite_file import FileGraph, FileOperator, FileTensor
from edgedeploy.exporters.tflite_ranges import adjusted_ranges, symmetric_operands
from tests.exporters.small_network import SmallExports

# a -> TRANSPOSE -> b; (x, b) -> BATCH_MATMUL -> c; (c, small) -> ADD -> d
NAMES = ("x", "a", "b", "c", "small", "d")
GRAPH = FileGraph(
    tuple(FileTensor(name, "float32") for name in NAMES),
    (
        FileOperator("TRANSPOSE", (1,), (2,)),
        FileOperator("BATCH_MATMUL", (0, 2), (3,)),
        FileOperator("ADD", (3, 4), (5,)),
    ),
)


def ranges(**limits: tuple[float, float]) -> dict[str, dict[str, Any]]:
    return {
        name: {"min": np.array([low], np.float32), "max": np.array([high], np.float32)}
        for name, (low, high) in limits.items()
    }


ALL = ranges(x=(-1, 2), a=(-1, 3), b=(-1, 3), c=(-4, 4), small=(0, 1e-6), d=(-5, 5))


@pytest.mark.parametrize("name", ["a", "b"])
def test_the_second_operand_of_a_product_has_zero_point_0_through_its_views(name: str) -> None:
    values = adjusted_ranges(GRAPH, ALL)[name]
    scale = (values["max"] - values["min"]) / 255
    assert -128 - values["min"] / scale == pytest.approx(0, abs=1e-4)
    assert values["max"] == pytest.approx(3)


def test_it_has_the_range_of_least_error_where_that_is_known() -> None:
    values = adjusted_ranges(GRAPH, ALL, {"b": symmetric(2.5)})
    assert (values["b"]["max"], values["a"]["max"]) == (2.5, 3)


def test_second_operands_and_what_they_are_views_of_are_symmetric() -> None:
    assert {NAMES[value] for value in symmetric_operands(GRAPH)} == {"a", "b"}


def test_a_tiny_operand_of_a_sum_gets_a_scale_that_the_delegate_takes() -> None:
    values = adjusted_ranges(GRAPH, ALL)["small"]
    assert values["min"] == 0
    assert 1 / 1024 < (values["max"] / 255) / (10 / 255) < 1.1 / 1024


def scale_of(values: dict[str, Any]) -> float:
    return float((values["max"] - values["min"]).item() / 255)


# x, w (constant) -> layer -> y; a layer's limit is 2^-8 of the product of its operands' scales
OPERANDS = {
    "CONV_2D": (0, 1, 3),
    "FULLY_CONNECTED": (0, 1),
    "TRANSPOSE_CONV": (3, 1, 0),  # its first input is a shape
    "MUL": (0, 1),
}


@pytest.mark.parametrize("type", OPERANDS)
@pytest.mark.parametrize("found", [(0, 0), (-1e-9, 1e-9)])
def test_a_result_too_small_for_its_operands_gets_a_scale_that_runtimes_take(
    type: str, found: tuple[float, float]
) -> None:
    graph = FileGraph(
        tuple(FileTensor(name, "float32") for name in ("x", "w", "y", "other")),
        (FileOperator(type, OPERANDS[type], (2,)),),
    )
    adjusted = adjusted_ranges(graph, ranges(x=(-1, 1.55), y=found), largest_constants={1: 1.27})
    assert 1 / 256 < scale_of(adjusted["y"]) / (0.01 * 0.01) < 1.1 / 256
    if found == (0, 0):
        assert round(-128 - adjusted["y"]["min"].item() / scale_of(adjusted["y"])) == 0
    assert adjusted["x"]["max"] == np.float32(1.55)


@pytest.mark.parametrize(("type", "divisor"), [("ADD", 256), ("SUB", 256), ("HARD_SWISH", 128)])
def test_a_sum_or_hard_swish_that_is_always_zero_keeps_within_reach_of_its_operands(type: str, divisor: int) -> None:
    graph = FileGraph(
        tuple(FileTensor(name, "float32") for name in "xwy"),
        (FileOperator(type, (0,) if type == "HARD_SWISH" else (0, 1), (2,)),),
    )
    adjusted = adjusted_ranges(graph, ranges(x=(-1, 1.55), w=(-1, 1.55), y=(0, 0)))
    assert 1 / divisor < scale_of(adjusted["y"]) / 0.01 < 1.1 / divisor


def test_a_zero_operand_of_a_sum_gets_a_scale_that_the_delegate_takes() -> None:
    adjusted = adjusted_ranges(GRAPH, {**ALL, "small": ranges(small=(0, 0))["small"]})
    assert 1 / 1024 < scale_of(adjusted["small"]) / (10 / 255) < 1.1 / 1024


def test_all_other_ranges_and_the_callers_own_stay() -> None:
    adjusted = adjusted_ranges(GRAPH, ALL)
    assert [adjusted[name] for name in ("x", "c", "d")] == [ALL[name] for name in ("x", "c", "d")]
    assert ALL["a"]["min"] == -1


def test_a_tensor_without_a_range_is_passed_over() -> None:
    assert adjusted_ranges(GRAPH, {}) == {}


def test_a_pooling_that_pads_by_minus_infinity_is_int8(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 4, 1))
    lowered, _ = SmallExports(tmp_path, network).lower("tflite", STATIC_INT8)
    assert [op.dtype for op in lowered.operators if op.type == "MAX_POOL_2D"] == ["int8"]
