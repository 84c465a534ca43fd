from __future__ import annotations

import pytest

from edgedeploy.core.recipe import EVERYTHING, NumberFormat, QuantRecipe, RecipeRule, Region, Scope
from edgedeploy.core.recipes import DYNAMIC_INT8, FP32, STATIC_INT8
from edgedeploy.core.storage.json_records import decode, encode

IN_FLOAT, IN_INT8 = NumberFormat.FLOAT32, NumberFormat.STATIC_INT8


def test_the_last_rule_that_matches_an_operator_decides() -> None:
    rules = (
        RecipeRule(IN_INT8),
        RecipeRule(IN_FLOAT, Scope(module="backbone.*")),
        RecipeRule(IN_INT8, Scope(module="backbone.*", operator="Conv")),
    )
    recipe = QuantRecipe("mixed", rules)
    assert recipe.format_of("Conv", "head.0") == IN_INT8
    assert recipe.format_of("Softmax", "backbone.3.attn") == IN_FLOAT
    assert recipe.format_of("Conv", "backbone.3.proj") == IN_INT8


def test_static_int8_leaves_norms_and_label_selection_in_float() -> None:
    assert STATIC_INT8.format_of("Mul") == IN_INT8
    for region in Region:
        assert STATIC_INT8.format_of("Mul", region=region) == IN_FLOAT


@pytest.mark.parametrize(
    ("recipe", "quantized", "calibrated"),
    [(FP32, False, False), (DYNAMIC_INT8, True, False), (STATIC_INT8, True, True)],
)
def test_a_recipe_knows_whether_it_quantizes_and_calibrates(
    recipe: QuantRecipe, quantized: bool, calibrated: bool
) -> None:
    assert (recipe.is_quantized, recipe.needs_calibration) == (quantized, calibrated)


def test_a_recipe_without_a_rule_for_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="must match everything"):
        QuantRecipe("partial", (RecipeRule(IN_FLOAT, Scope(module="a.*")),))


def test_a_recipe_survives_its_json() -> None:
    assert decode(encode(STATIC_INT8), QuantRecipe) == STATIC_INT8
    assert STATIC_INT8.rules[0].scope == EVERYTHING
