"""The search on invented networks, whose blocks have a known error and cost each, and once on a real one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgedeploy.core.errors import UsageError
from edgedeploy.core.parity import Parity
from edgedeploy.core.provenance import OperatorFact
from edgedeploy.core.recipe import NumberFormat, Observer, Preparation, QuantRecipe
from edgedeploy.core.recipes import STATIC_INT8, load_recipe
from edgedeploy.core.reporter import NullReporter
from edgedeploy.exporters.job import Lowered
from edgedeploy.exporters.targets import TARGETS
from edgedeploy.models.preparation import SensitiveLayer
from edgedeploy.pipeline.export import export
from edgedeploy.pipeline.export.options import parse_drop
from edgedeploy.pipeline.recipe_search import costs, search
from edgedeploy.pipeline.recipe_search.labelled import Accuracy
from edgedeploy.pipeline.recipe_search.search import Found, SearchOptions, search_recipe
from edgedeploy.pipeline.recipe_search.trials import Trial
from tests.reporters import NoteReporter

MEGA = 10**6


class InventedTrials:
    """A network whose error is the sum of its int8 blocks' errors.

    Args:
        noise: of each module, as a share of the signal's power.
        macs: of each module.
        helps: the factor that a preparation or an observer gives to all errors.
        in_float: layers that stay in float without equalized channels.
    """

    def __init__(
        self,
        noise: Mapping[str, float],
        macs: Mapping[str, int],
        helps: Mapping[Any, float] | None = None,
        in_float: tuple[SensitiveLayer, ...] = (),
    ) -> None:
        self.in_float = in_float
        self.noise, self.helps, self.target = noise, helps or {}, TARGETS["onnx-int8"]
        self.facts = tuple(OperatorFact(path, "Conv", path, macs=macs[path], int8=True) for path in noise)
        self.tried: list[QuantRecipe] = []

    @property
    def count(self) -> int:
        return len(self.tried)

    def accuracy_of(self, trial: Trial) -> Accuracy | None:
        return None

    def __call__(self, recipe: QuantRecipe) -> Trial:
        if recipe not in self.tried:
            self.tried.append(recipe)
        quantized = [path for path in self.noise if recipe.format_of("Conv", path) is not NumberFormat.FLOAT32]
        factor = math.prod(self.helps.get(key, 1.0) for key in (*recipe.prepare, recipe.rules[0].observer))
        total = sum(self.noise[path] for path in quantized) * factor + 1e-9
        parity = Parity(0.1, 0.1, 0.1, -10 * math.log10(total), 1.0, None, 1)
        in_float = () if Preparation.EQUALIZE_CHANNELS in recipe.prepare else self.in_float
        return Trial(recipe, parity, Path(), Lowered((), (), self.facts, None), in_float)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _nothing_is_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        search, "measured_costs", lambda _trials, plain, _reporter: costs.bounds(plain.record.operators)
    )


def found_in(trials: Any, min_sqnr_db: float, **options: int) -> Found:
    return search_recipe(trials, SearchOptions(min_sqnr_db, **options), NullReporter())


def exceptions_of(found: Found) -> list[str]:
    return [rule.scope.module for rule in found.recipe.rules if rule.scope.module]


EVEN = {f"stages.{stage}.{layer}": 1e-4 for stage in range(3) for layer in ("a", "b")} | {"head": 1e-4}
MACS = dict.fromkeys(EVEN, MEGA)


def test_a_network_that_meets_the_goal_gets_the_plain_recipe_from_one_artifact() -> None:
    found = found_in(InventedTrials(EVEN, MACS), 25)
    assert (found.recipe.rules, found.record.exports, found.record.met) == (STATIC_INT8.rules, 1, True)


def test_the_one_layer_that_breaks_is_the_only_exception() -> None:
    found = found_in(InventedTrials({**EVEN, "stages.1.b": 0.1}, MACS), 25)
    assert exceptions_of(found) == ["stages.1.b"]
    assert found.parity.sqnr > 25
    assert [step.change for step in found.record.path] == ["plain", "float32 stages.1.b"]
    alone = {step.change: step.sqnr_db for step in found.record.sensitivity}
    assert alone["float32 stages.1.b"] == found.parity.sqnr_db


def test_of_two_layers_that_suffice_the_cheaper_one_is_taken() -> None:
    noise, macs = {**EVEN, "stages.0.a": 0.004, "head": 0.004}, {**MACS, "stages.0.a": 50 * MEGA}
    found = found_in(InventedTrials(noise, macs), 23)
    assert exceptions_of(found) == ["head"]


def test_layers_are_added_until_the_goal_is_met() -> None:
    noise = {**EVEN, "stages.0.a": 0.01, "stages.2.b": 0.01}
    found = found_in(InventedTrials(noise, MACS), 30)
    assert sorted(exceptions_of(found)) == ["stages.0.a", "stages.2.b"]


def test_a_preparation_that_is_enough_makes_exceptions_needless() -> None:
    trials = InventedTrials({**EVEN, "head": 0.1}, MACS, {Preparation.EQUALIZE_CHANNELS: 0.01})
    found = found_in(trials, 25)
    assert set(found.recipe.prepare) == set(Preparation)
    assert exceptions_of(found) == []
    assert found.record.exports == 3


def test_a_preparation_that_lets_more_layers_be_int8_is_taken() -> None:
    found = found_in(InventedTrials(EVEN, MACS, in_float=(SensitiveLayer("head", 20.0),)), 25)
    assert Preparation.EQUALIZE_CHANNELS in found.recipe.prepare
    assert [step.change for step in found.record.path] == ["plain, 1 layer in float32", "equalize_channels"]


def test_layers_that_stay_in_float_either_way_are_no_reason_to_go_on() -> None:
    trials = InventedTrials(EVEN, MACS, {Preparation.EQUALIZE_CHANNELS: 1.5}, (SensitiveLayer("head", 20.0),))
    trials.noise = {**EVEN, "head": 0.002}
    found = found_in(trials, 25.5)
    assert (found.record.met, exceptions_of(found)) == (True, [])


def test_a_preparation_that_does_not_help_is_left_out() -> None:
    hurts = dict.fromkeys((Preparation.EQUALIZE_CHANNELS, Preparation.CORRECT_BIAS), 1.5)
    found = found_in(InventedTrials({**EVEN, "head": 0.1}, MACS, hurts), 25)
    assert found.recipe.prepare == (Preparation.OPTIMIZE_ROUNDING,)
    assert exceptions_of(found) == ["head"]


def test_an_observer_that_is_enough_makes_exceptions_needless() -> None:
    found = found_in(InventedTrials({**EVEN, "head": 0.1}, MACS, {Observer.MSE: 0.01, Observer.MIN_MAX: 0.02}), 25)
    assert found.recipe.rules[0].observer is Observer.MSE
    assert [step.change for step in found.record.path] == ["plain", "observer mse"]
    assert exceptions_of(found) == []


def test_exceptions_come_on_top_of_the_observer_that_helps() -> None:
    noise = {**EVEN, "head": 0.1, "stages.0.a": 0.004}
    found = found_in(InventedTrials(noise, MACS, {Observer.MIN_MAX: 0.5}), 25)
    assert [step.change for step in found.record.path] == ["plain", "observer min_max", "float32 head"]
    assert found.recipe.rules[0].observer is Observer.MIN_MAX


def test_an_observer_that_does_not_help_is_left_out() -> None:
    found = found_in(InventedTrials({**EVEN, "head": 0.1}, MACS, {Observer.MSE: 0.99, Observer.MIN_MAX: 1.5}), 25)
    assert found.recipe.rules[0].observer is STATIC_INT8.rules[0].observer


def test_corrected_biases_are_used_beside_exceptions_where_these_alone_are_not_enough() -> None:
    noise = {**EVEN, "head": 0.1, "stages.0.a": 0.004}
    found = found_in(InventedTrials(noise, MACS, {Preparation.CORRECT_BIAS: 0.5}), 25.5)
    assert found.recipe.prepare == (Preparation.OPTIMIZE_ROUNDING, Preparation.CORRECT_BIAS)
    assert exceptions_of(found) == ["head"]


def test_a_goal_that_cannot_be_met_is_said_and_the_closest_recipe_returned() -> None:
    trials = InventedTrials({**EVEN, "": 0.05}, {**MACS, "": MEGA})
    found = found_in(trials, 40)
    assert not found.record.met
    assert found.parity.sqnr >= trials(found.recipe).parity.sqnr > trials(STATIC_INT8).parity.sqnr


class SpoilingTrials(InventedTrials):
    """An error as large as the signal hides all others."""

    def __call__(self, recipe: QuantRecipe) -> Trial:
        trial = super().__call__(recipe)
        parity = replace(trial.parity, sqnr_db=max(trial.parity.sqnr, 0.0))
        return replace(trial, parity=parity)


def test_two_blocks_that_each_spoil_the_output_are_found() -> None:
    found = found_in(SpoilingTrials({**EVEN, "stages.0.a": 20.0, "stages.2.b": 30.0}, MACS), 25)
    assert sorted(exceptions_of(found)) == ["stages.0.a", "stages.2.b"]
    assert {"int8 stages.0.a", "int8 stages.2.b"} <= {step.change for step in found.record.sensitivity}


def test_the_number_of_artifacts_for_sensitivities_is_bounded() -> None:
    noise = {f"stages.{stage}.{layer}": 1e-3 for stage in range(20) for layer in range(20)}
    found = found_in(InventedTrials(noise, dict.fromkeys(noise, MEGA)), 60, max_exports=12)
    assert len(found.record.sensitivity) <= 12


NETWORK = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.act, self.proj = nn.Conv2d(8, 8, 3, padding=1), nn.Hardswish(), nn.Conv2d(8, 8, 1)
    def forward(self, x):
        return x + self.proj(self.act(self.conv(x)))

def broken():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), Block(), Block(), Block(), nn.Conv2d(8, 4, 1))
    with torch.no_grad():
        net[2].conv.weight[5] *= 1000
        net[2].conv.bias[5] *= 1000
        net[2].proj.weight[:, 5] /= 1000
    return net.eval()
"""


def test_the_block_with_a_channel_scaled_by_a_thousand_is_found_in_the_real_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its activation is a hard swish, so that channels cannot be equalized."""
    (tmp_path / "net.py").write_text(NETWORK)
    reporter = NoteReporter()
    (made,) = export(
        f"{tmp_path / 'net.py'}:broken", "onnx-int8", inputs=("1x3x32x32",), num_calib=4,
        recipe="auto", min_sqnr_db=28, output=tmp_path / "out", reporter=reporter,
    )  # fmt: skip
    record = made.manifest.provenance.search
    assert record is not None
    assert record.met
    assert record.path[0].sqnr_db is not None
    assert record.path[0].sqnr_db < 24
    assert record.path[-1].change == "float32 2.conv"
    assert made.manifest.parity[0].sqnr > 28
    assert load_recipe(made.folder / "recipe.toml") == made.manifest.provenance.recipe


class LabelledTrials(InventedTrials):
    """Top-1 falls with the error."""

    drop_error = 0.0

    def accuracy_of(self, trial: Trial) -> Accuracy:
        return Accuracy(0.9 - trial.noise, trial.noise, self.drop_error)


def test_with_labels_the_goal_is_the_accuracy() -> None:
    trials = LabelledTrials({**EVEN, "head": 0.1, "stages.0.a": 0.004}, MACS)
    found = search_recipe(trials, SearchOptions(60, max_drop=0.005), NullReporter())  # type: ignore[arg-type]
    assert exceptions_of(found) == ["head"]
    assert found.record.goal == "top-1 at most 0.5 points below float's"
    assert found.record.path[-1].accuracy == pytest.approx(0.8955, abs=1e-4)
    assert found.record.path[-1].drop_in_points == "0.45 ± 0.00"


def test_a_drop_that_other_images_may_exceed_needs_another_exception() -> None:
    trials = LabelledTrials({**EVEN, "head": 0.1, "stages.0.a": 0.004}, MACS)
    trials.drop_error = 0.002
    found = search_recipe(trials, SearchOptions(60, max_drop=0.005), NullReporter())  # type: ignore[arg-type]
    assert exceptions_of(found) == ["head", "stages.0.a"]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"max_drop": "1dB", "data": "."}, "not a drop of top-1"),
        ({"max_drop": "half", "data": "."}, "not a drop of top-1"),
        ({"max_drop": "0.5%"}, "go together"),
        ({"data": "."}, "go together"),
        ({"max_drop": "1%", "data": ".", "min_sqnr_db": 20.0}, "one goal"),
    ],
)
def test_goals_that_make_no_sense_are_refused(keywords: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        export("topformer-tiny", "onnx-int8", recipe="auto", **keywords)


@pytest.mark.parametrize(("text", "share"), [("0.5%", 0.005), ("1 %", 0.01), ("0%", 0.0)])
def test_a_drop_is_in_percentage_points(text: str, share: float) -> None:
    assert parse_drop(text) == pytest.approx(share)


def test_a_goal_without_a_search_is_refused() -> None:
    with pytest.raises(UsageError, match="--min-sqnr is the goal of a search"):
        export("topformer-tiny", "onnx-int8", min_sqnr_db=20)


@pytest.mark.parametrize("keywords", [{"recipe": "auto"}, {"exclude": ["head"]}, {"recipe": "static_wi8_ai8"}])
def test_int8_recipes_are_refused_for_float_targets(keywords: Any) -> None:
    with pytest.raises(UsageError) as caught:
        export("topformer-tiny", "onnx-fp32", **keywords)
    assert caught.value.hint == "--target onnx-int8"


def test_a_float_recipe_is_refused_for_an_int8_target() -> None:
    with pytest.raises(UsageError, match="computes in float") as caught:
        export("topformer-tiny", "tflite-int8", recipe="fp32")
    assert caught.value.hint == "--target tflite-fp32"
