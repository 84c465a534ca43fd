from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgedeploy.exporters.ranges import symmetric
from edgedeploy.exporters.tflite_file import FileGraph, FileOperator, FileTensor
from edgedeploy.exporters.tflite_ranges import adjusted_ranges, symmetric_operands

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


def test_all_other_ranges_and_the_callers_own_stay() -> None:
    adjusted = adjusted_ranges(GRAPH, ALL)
    assert [adjusted[name] for name in ("x", "c", "d")] == [ALL[name] for name in ("x", "c", "d")]
    assert ALL["a"]["min"] == -1


def test_a_tensor_without_a_range_is_passed_over() -> None:
    assert adjusted_ranges(GRAPH, {}) == {}
