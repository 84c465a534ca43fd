from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy.core.errors import RecipeInvalid, UnknownName
from edgedeploy.core.recipe import NumberFormat, Observer, Preparation, QuantRecipe, RecipeRule, Region, Scope
from edgedeploy.core.recipes import BUILT_IN, STATIC_INT8, load_recipe
from edgedeploy.core.recipes.files import format_recipe

FLOAT32, STATIC = NumberFormat.FLOAT32, NumberFormat.STATIC_INT8
EVERYTHING_SAID = QuantRecipe(
    "all",
    (
        RecipeRule(STATIC, observer=Observer.MSE),
        RecipeRule(FLOAT32, Scope('a."b".*', "softmax", Region.NORMALIZATION)),
        RecipeRule(NumberFormat.STATIC_INT16_ACTIVATIONS, Scope(operator="Conv"), Observer.PERCENTILE),
    ),
    (Preparation.EQUALIZE_CHANNELS, Preparation.CORRECT_BIAS),
    range_margin=0.02,
)


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("recipe", [*BUILT_IN, EVERYTHING_SAID], ids=str)
def test_a_recipe_survives_its_file(recipe: QuantRecipe, tmp_path: Path) -> None:
    assert load_recipe(written(tmp_path, format_recipe(recipe))) == recipe


def test_common_use_is_one_line_beside_the_base(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, 'base = "static_wi8_ai8"\nexclude = ["head", "stages.3"]'))
    assert recipe.name == "mine"
    assert recipe.rules == STATIC_INT8.excluding("head", "stages.3").rules


def test_the_order_is_base_rules_exclude(tmp_path: Path) -> None:
    text = 'base = "static_wi8_ai8"\nexclude = ["head"]\n[[rules]]\nmodule = "head"\nformat = "static_int8"'
    recipe = load_recipe(written(tmp_path, text))
    assert [rule.scope.module for rule in recipe.rules[-3:]] == ["", "head", "head"]
    assert recipe.format_of("Conv", "head") is FLOAT32


def test_an_observer_beside_the_base_is_that_of_its_rules(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, 'base = "static_wi8_ai8"\nobserver = "percentile"'))
    assert {rule.observer for rule in recipe.rules} == {Observer.PERCENTILE}


def test_zero_lets_all_layers_be_int8_where_the_base_does_not(tmp_path: Path) -> None:
    assert STATIC_INT8.min_layer_sqnr_db == 36
    assert load_recipe(written(tmp_path, 'base = "static_wi8_ai8"')).min_layer_sqnr_db == 36
    assert load_recipe(written(tmp_path, 'base = "static_wi8_ai8"\nmin_layer_sqnr_db = 0')).min_layer_sqnr_db is None


def test_a_format_beside_the_base_is_that_of_everything_that_no_rule_is_about(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, 'base = "static_wi8_ai8"\nformat = "static_int16_activations"'))
    assert recipe.default_format is NumberFormat.STATIC_INT16_ACTIVATIONS
    assert (recipe.rules[1:], recipe.prepare) == (STATIC_INT8.rules[1:], STATIC_INT8.prepare)


@pytest.mark.parametrize("name", ["static_wi8_ai8", "static-wi8-ai8"])
def test_a_name_is_that_of_a_built_in_recipe(name: str) -> None:
    assert load_recipe(name) is STATIC_INT8


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ('base = "static_wi8_a8"', "static-wi8-ai8"),
        ('fromat = "static_int8"', "format"),
        ('format = "static_int"', "static_int8"),
        ('base = "fp32"\nformat = "static_int"', "static_int8"),
        ('format = "static_int8"\nobserver = "percentil"', "percentile"),
        ('format = "static_int8"\nprepare = ["equalise_channels"]', "equalize_channels"),
        ('format = "static_int8"\n[[rules]]\nmodul = "a"\nformat = "float32"', "module"),
        ('format = "static_int8"\n[[rules]]\nregion = "normalisation"\nformat = "float32"', "normalization"),
    ],
)
def test_a_typo_is_named_with_the_nearest_word(text: str, near: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownName) as caught:
        load_recipe(written(tmp_path, text))
    assert near in caught.value.near
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs `base` or `format`"),
        ("format = 8", "Expected `str`, got `int`"),
        ('format = "static_int8"\nexclude = "head"', "Expected `array`, got `str`"),
        ('format = "static_int8"\nmin_layer_sqnr_db = -1', "min_layer_sqnr_db of .* is -1"),
        ('format = "static_int8"\nrange_margin = -0.1', "range_margin of .* is -0.1"),
        ('format = "static_int8"\nrange_margin = nan', "range_margin of .* is nan"),
        ('format = "static_int8"\nmin_layer_sqnr_db = nan', "min_layer_sqnr_db of .* is nan"),
        ('format = "static_int8"\n[[rules]]\nmodule = "a"', "a rule of .* has no format"),
        ("rules = 5", "Expected `array`, got `int`"),
        ("format = ", "is not a recipe"),
    ],
)
def test_what_is_no_recipe_is_refused_with_the_reason(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeInvalid, match=message) as caught:
        load_recipe(written(tmp_path, text))
    assert caught.value.exit_code == 2


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeInvalid, match=r"none\.toml cannot be read as a recipe: No such file"):
        load_recipe(tmp_path / "none.toml")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="static-wi8-ai8"):
        load_recipe("static_wi8_i8")
