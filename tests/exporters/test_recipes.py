from __future__ import annotations

import dataclasses
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from edgedeploy.core.backends import BACKENDS
from edgedeploy.core.errors import ExportFailed
from edgedeploy.core.recipe import (
    DYNAMIC_INT8,
    FP32,
    STATIC_INT8,
    WEIGHT_ONLY_FP16,
    NumberFormat,
    Observer,
    QuantRecipe,
    RecipeRule,
    Region,
    Scope,
)
from edgedeploy.exporters.recipes import Quantization, float_operators, quantization_of
from edgedeploy.exporters.regions import Operator
from edgedeploy.exporters.to_onnx import REGION_TYPES

from .small_network import SmallExports, recipe_of

ONNX, TFLITE = BACKENDS["onnx"], BACKENDS["tflite"]
FLOAT32, STATIC = NumberFormat.FLOAT32, NumberFormat.STATIC_INT8


class OtherObserver(Enum):
    PERCENTILE = "percentile"


def test_a_float_recipe_asks_for_no_quantization() -> None:
    assert quantization_of(FP32, ONNX, [Observer.MIN_MAX]) is None


def test_a_static_recipe_names_its_observer() -> None:
    assert quantization_of(STATIC_INT8, ONNX, [Observer.MIN_MAX]) == Quantization(STATIC, Observer.MIN_MAX)


def test_rules_may_quantize_what_the_default_leaves_in_float() -> None:
    recipe = recipe_of("some", FLOAT32, (STATIC, Scope(module="head")))
    assert quantization_of(recipe, ONNX, [Observer.MIN_MAX]) == Quantization(STATIC, Observer.MIN_MAX)


@pytest.mark.parametrize("recipe", [DYNAMIC_INT8, WEIGHT_ONLY_FP16], ids=str)
def test_a_format_that_the_backend_lacks_is_refused_with_what_it_has(recipe: QuantRecipe) -> None:
    with pytest.raises(ExportFailed) as caught:
        quantization_of(recipe, ONNX, [Observer.MIN_MAX])
    text = str(caught.value)
    assert f"number format {recipe.default_format.value}, which backend onnx does not have" in text
    assert "ONNX Runtime has: float32, static_int8" in text


def test_two_quantized_formats_in_one_file_are_refused() -> None:
    recipe = recipe_of("mixed", STATIC, (NumberFormat.DYNAMIC_INT8, Scope(operator="FULLY_CONNECTED")))
    with pytest.raises(ExportFailed, match="recipe mixed mixes dynamic_int8, static_int8"):
        quantization_of(recipe, TFLITE, [Observer.MIN_MAX])


def test_an_observer_that_the_backend_lacks_is_refused() -> None:
    other: Any = OtherObserver.PERCENTILE
    recipe = QuantRecipe("percentile", (RecipeRule(STATIC, observer=other),))
    with pytest.raises(ExportFailed, match="the observer percentile, which backend tflite does not have") as caught:
        quantization_of(recipe, TFLITE, [Observer.MIN_MAX])
    assert "LiteRT has: min_max" in str(caught.value)


def test_two_observers_in_one_file_are_refused() -> None:
    other: Any = OtherObserver.PERCENTILE
    recipe = QuantRecipe("both", (RecipeRule(STATIC), RecipeRule(STATIC, Scope(module="head"), other)))
    with pytest.raises(ExportFailed, match="mixes observers min_max, percentile"):
        quantization_of(recipe, TFLITE, [Observer.MIN_MAX, other])


@pytest.mark.parametrize("backend", BACKENDS, ids=str)
def test_every_exporter_refuses_what_its_backend_cannot_write(backend: Any, tmp_path: Path) -> None:
    recipe = QuantRecipe("odd", (RecipeRule(STATIC, observer=OtherObserver.PERCENTILE),))  # type: ignore[arg-type]
    with pytest.raises(ExportFailed, match=f"backend {backend} does not have"):
        SmallExports(tmp_path).lower(backend.name, recipe)


GRAPH = [
    Operator("conv", "Conv", ("x", "w"), ("1",), "backbone.conv"),
    Operator("square", "Mul", ("1", "1"), ("2",), "backbone.norm"),
    Operator("sum", "ReduceSum", ("2",), ("3",), "backbone.norm"),
    Operator("root", "Reciprocal", ("3",), ("4",), "backbone.norm"),
    Operator("scaled", "Mul", ("1", "4"), ("5",), "backbone.norm"),
    Operator("head", "Conv", ("5", "v"), ("6",), "head"),
    Operator("labels", "ArgMax", ("6",), ("7",), ""),
]


def test_the_regions_of_the_static_recipe_stay_in_float_labels_first() -> None:
    assert float_operators(GRAPH, STATIC_INT8, REGION_TYPES) == ["labels", "square", "sum", "root", "scaled"]


def test_without_rules_about_regions_nothing_stays_in_float() -> None:
    assert float_operators(GRAPH, DYNAMIC_INT8, REGION_TYPES) == []


def test_rules_about_modules_and_types_follow_the_regions_in_the_graphs_order() -> None:
    rules = (RecipeRule(FLOAT32, Scope(operator="Conv")), RecipeRule(STATIC, Scope(module="head")))
    recipe = dataclasses.replace(STATIC_INT8, rules=STATIC_INT8.rules + rules)
    assert float_operators(GRAPH, recipe, REGION_TYPES) == ["labels", "square", "sum", "root", "scaled", "conv"]


def test_a_later_rule_can_quantize_a_region_again() -> None:
    recipe = dataclasses.replace(
        STATIC_INT8, rules=(*STATIC_INT8.rules, RecipeRule(STATIC, Scope(region=Region.NORMALIZATION)))
    )
    assert float_operators(GRAPH, recipe, REGION_TYPES) == ["labels"]
