from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from pathlib import Path

import pytest

from edgedeploy.core.backends import BACKENDS, Backend
from edgedeploy.core.errors import RecipeInvalid
from edgedeploy.core.recipe import NumberFormat, Observer, QuantRecipe, RecipeRule, Region, Scope
from edgedeploy.core.recipes import DYNAMIC_INT8, FP32, STATIC_INT8, STATIC_INT16_ACTIVATIONS, WEIGHT_ONLY_FP16
from edgedeploy.exporters.recipes import Quantization, assign, quantization_of, range_rules
from edgedeploy.exporters.regions import Operator
from edgedeploy.exporters.to_onnx import REGION_TYPES

from .small_network import SmallExports, recipe_of

ONNX, TFLITE = BACKENDS["onnx"], BACKENDS["tflite"]
FLOAT32, STATIC = NumberFormat.FLOAT32, NumberFormat.STATIC_INT8


def test_a_float_recipe_asks_for_no_quantization() -> None:
    assert quantization_of(FP32, ONNX) is None


def test_a_static_recipe_names_its_observer() -> None:
    assert quantization_of(STATIC_INT8, ONNX) == Quantization((STATIC,), (Observer.MSE_PERCENTILE,))


def test_rules_may_quantize_what_the_default_leaves_in_float() -> None:
    recipe = recipe_of("some", FLOAT32, (STATIC, Scope(module="head")))
    assert quantization_of(recipe, ONNX) == Quantization((STATIC,), (Observer.MIN_MAX,))


@pytest.mark.parametrize("recipe", [DYNAMIC_INT8, WEIGHT_ONLY_FP16, STATIC_INT16_ACTIVATIONS], ids=str)
@pytest.mark.parametrize("backend", ["onnx", "executorch"])
def test_a_format_that_the_backend_lacks_is_refused_with_what_it_has(recipe: QuantRecipe, backend: str) -> None:
    with pytest.raises(RecipeInvalid) as caught:
        quantization_of(recipe, BACKENDS[backend])
    text, format = str(caught.value), recipe.default_format.value
    assert f"number format {format}, which backend {backend} does not have" in text
    assert f"{BACKENDS[backend].title} has: float32, static_int8" in text
    assert f"{format}: backends tflite have it" in text
    assert caught.value.exit_code == 2
    assert caught.value.hint


@pytest.mark.parametrize("backend", BACKENDS, ids=str)
def test_two_quantized_formats_are_refused_where_a_file_holds_one(backend: Backend) -> None:
    recipe = recipe_of("mixed", STATIC, (NumberFormat.STATIC_UINT8_ACTIVATIONS, Scope(operator="linear")))
    widened = dataclasses.replace(backend, formats=frozenset(NumberFormat))
    if backend.mixes_formats:
        assert quantization_of(recipe, widened) is not None
    else:
        with pytest.raises(RecipeInvalid, match="recipe mixed mixes static_int8, static_uint8_activations"):
            quantization_of(recipe, widened)


@pytest.mark.parametrize("backend", BACKENDS, ids=str)
def test_every_exporter_refuses_what_its_backend_cannot_write(backend: Backend, tmp_path: Path) -> None:
    lacking = next(format for format in NumberFormat if format not in backend.formats)
    with pytest.raises(RecipeInvalid, match=f"backend {backend} does not have"):
        SmallExports(tmp_path).lower(backend.name, QuantRecipe("odd", (RecipeRule(lacking),)))


GRAPH = [
    Operator("conv", "Conv", ("x", "w"), ("1",), "backbone.conv"),
    Operator("square", "Mul", ("1", "1"), ("2",), "backbone.norm"),
    Operator("sum", "ReduceSum", ("2",), ("3",), "backbone.norm"),
    Operator("root", "Reciprocal", ("3",), ("4",), "backbone.norm"),
    Operator("scaled", "Mul", ("1", "4"), ("5",), "backbone.norm"),
    Operator("head", "Conv", ("5", "v"), ("6",), "head"),
    Operator("labels", "ArgMax", ("6",), ("7",), ""),
]


def in_float(recipe: QuantRecipe) -> list[Hashable]:
    return assign(GRAPH, recipe, REGION_TYPES).in_float


def test_the_regions_of_the_static_recipe_stay_in_float_labels_first() -> None:
    assert in_float(STATIC_INT8) == ["labels", "square", "sum", "root", "scaled"]


def test_without_rules_about_regions_nothing_stays_in_float() -> None:
    assert in_float(DYNAMIC_INT8) == []


def test_rules_about_modules_and_types_follow_the_regions_in_the_graphs_order() -> None:
    rules = (RecipeRule(FLOAT32, Scope(operator="Conv")), RecipeRule(STATIC, Scope(module="head")))
    recipe = dataclasses.replace(STATIC_INT8, rules=STATIC_INT8.rules + rules)
    assert in_float(recipe) == ["labels", "square", "sum", "root", "scaled", "conv"]


def test_a_later_rule_can_quantize_a_region_again() -> None:
    recipe = dataclasses.replace(
        STATIC_INT8, rules=(*STATIC_INT8.rules, RecipeRule(STATIC, Scope(region=Region.NORMALIZATION)))
    )
    assert in_float(recipe) == ["labels"]


@pytest.mark.parametrize(
    ("scope", "nearest"),
    [
        (Scope(module="backbone.nrom"), "did you mean backbone.norm"),
        (Scope(operator="convolutions"), "did you mean convolution"),
        (Scope(module="zzz"), "matches no operator of this network"),
    ],
    ids=str,
)
def test_a_rule_about_nothing_is_reported_with_the_nearest_names(scope: Scope, nearest: str) -> None:
    (line,) = assign(GRAPH, STATIC_INT8.with_rules(RecipeRule(FLOAT32, scope)), REGION_TYPES).unmatched
    assert str(scope) in line
    assert nearest in line


def test_rules_that_match_and_those_about_regions_are_not_reported() -> None:
    assert assign(GRAPH, STATIC_INT8.excluding("backbone", "head"), REGION_TYPES).unmatched == ()
    assert assign(GRAPH[:1], STATIC_INT8, REGION_TYPES).unmatched == ()


def test_a_pad_between_float_operators_is_in_float_and_beside_an_int8_one_it_is_not() -> None:
    padded = Operator("pad", "Pad", ("x", "sizes"), ("1",))
    first, second = (
        Operator("first", "Conv", ("1", "w"), ("2",), "a"),
        Operator("second", "Conv", ("1", "w"), ("3",), "b"),
    )
    assert assign([padded, first], STATIC_INT8.excluding("a"), REGION_TYPES).in_float == ["pad", "first"]
    assert assign([padded, first, second], STATIC_INT8.excluding("a"), REGION_TYPES).in_float == ["first"]
    behind_int8 = [Operator("zero", "Conv", ("i", "w"), ("x",), "c"), padded, first]
    assert assign(behind_int8, STATIC_INT8.excluding("a"), REGION_TYPES).in_float == ["first"]


def test_a_value_has_the_rule_of_its_writer_or_else_of_a_static_reader() -> None:
    operators = [
        Operator("layer", "Conv", ("x",), ("1",)),
        Operator("float", "Erf", ("1",), ("2",)),
        Operator("alone", "Exp", ("2",), ("3",)),
        Operator("next", "Conv", ("2", "3", "weight"), ("4",)),
        Operator("last", "Exp", ("4",), ("5",)),
    ]
    rules = (RecipeRule(FLOAT32, Scope(operator="Exp")), RecipeRule(FLOAT32, Scope(operator="Erf")))
    recipe = dataclasses.replace(STATIC_INT8, rules=STATIC_INT8.rules + rules)
    found = range_rules(operators, assign(operators, recipe, REGION_TYPES))
    assert set(found) == {"1", "2", "3", "4"}
    assert all(rule.format is STATIC for rule in found.values())


@pytest.mark.parametrize("softmax", [STATIC, FLOAT32])
def test_what_a_softmax_gives_is_not_clipped(softmax: NumberFormat) -> None:
    operators = [
        Operator("layer", "Conv", ("x",), ("1",)),
        Operator("softmax", "Softmax", ("1",), ("2",)),
        Operator("product", "MatMul", ("2", "1"), ("3",)),
    ]
    recipe = STATIC_INT8.with_rules(RecipeRule(softmax, Scope(operator="softmax")))
    found = range_rules(operators, assign(operators, recipe, REGION_TYPES))
    others = STATIC_INT8.rules[0].observer
    assert others is not Observer.MIN_MAX
    assert {value: rule.observer for value, rule in found.items()} == {"1": others, "2": Observer.MIN_MAX, "3": others}
