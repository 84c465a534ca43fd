"""What a search prepares once and uses again; the lowering is in test_search.py."""

from __future__ import annotations

from typing import Any

import pytest

from edgedeploy.core.recipe import Observer, Preparation, QuantRecipe
from edgedeploy.core.recipes import STATIC_INT8
from edgedeploy.models.preparation import SensitiveLayer
from edgedeploy.pipeline.export import stages
from edgedeploy.pipeline.recipe_search import trials
from edgedeploy.pipeline.recipe_search.trials import Trials

IN_FLOAT = (SensitiveLayer("stem", 20.0),)


@pytest.fixture
def prepared_for(monkeypatch: pytest.MonkeyPatch) -> list[QuantRecipe]:
    """The recipes that the network was prepared for."""
    seen: list[QuantRecipe] = []

    def adjust(_prepared: Any, rewritten: Any, recipe: QuantRecipe) -> stages.AdjustedNetwork:
        seen.append(recipe)
        return stages.AdjustedNetwork(rewritten, recipe.excluding("stem"), IN_FLOAT)

    monkeypatch.setattr(trials, "_held_out", lambda _prepared: None)
    monkeypatch.setattr(stages, "adjust", adjust)
    return seen


def any_trials() -> Trials:
    return Trials(*[None] * 4)  # type: ignore[arg-type]


def test_another_observer_needs_no_other_weights(prepared_for: list[QuantRecipe]) -> None:
    tried = any_trials()
    for observer in Observer:
        recipe = STATIC_INT8.observing(observer)
        assert tried.adjusted(recipe).recipe == recipe.excluding("stem")
    assert len(prepared_for) == 1


def test_an_exception_needs_other_weights(prepared_for: list[QuantRecipe]) -> None:
    tried = any_trials()
    for recipe in (STATIC_INT8, STATIC_INT8.excluding("head")):
        assert tried.adjusted(recipe).recipe == recipe.excluding("stem")
    assert len(prepared_for) == 2


def test_equalized_channels_serve_all_exceptions(prepared_for: list[QuantRecipe]) -> None:
    tried = any_trials()
    equalized = QuantRecipe("", STATIC_INT8.rules, (Preparation.EQUALIZE_CHANNELS,))
    for recipe in (equalized, equalized.excluding("head")):
        assert tried.adjusted(recipe).recipe == recipe.excluding("stem")
    assert len(prepared_for) == 1
