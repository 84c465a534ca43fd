"""The study of trained networks: its images, its training, its cells and its page, with networks of a few weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgedeploy.core.provenance import RecipeSearch, RecipeStep
from edgedeploy.core.registry import Registry
from edgedeploy.core.reporter import NullReporter
from edgedeploy.core.results.evaluation import Estimate, Evaluation, Score
from edgedeploy.core.spec import ModelSpec, Source
from edgedeploy.data.labelled import read_labelled_set
from edgedeploy.models.zoo import ZOO
from edgedeploy.studies.accuracy import train as training
from edgedeploy.studies.accuracy.cells import TARGETS, Outcome
from edgedeploy.studies.accuracy.digits import (
    NO_DIGIT,
    NUM_CLASSES,
    _digits,
    draw_images,
    write_class_folders,
    write_images_and_masks,
)
from edgedeploy.studies.accuracy.networks import NETWORKS, TrainedNetwork
from edgedeploy.studies.accuracy.page import drop_of, render

SIDE = 32


def test_the_images_are_the_same_again_and_others_for_another_seed_or_split() -> None:
    first, again, seed = (next(draw_images("train", SIDE, 1, seed)).pixels for seed in (0, 0, 1))
    split = next(draw_images("held-out", SIDE, 1, 0)).pixels
    assert np.array_equal(first, again)
    assert not np.array_equal(first, seed)
    assert not np.array_equal(first, split)


def test_no_digit_is_in_both_splits() -> None:
    """Of all 1,797 each is in one of the two; scikit-learn's set itself has no two that are equal."""
    glyphs = [glyph.tobytes() for split in ("train", "held-out") for glyph in _digits(split)[0]]
    assert len(set(glyphs)) == len(glyphs) == 1797


def test_a_mask_has_the_images_class_where_the_digit_is_and_no_other() -> None:
    for image in draw_images("held-out", SIDE, 2 * NUM_CLASSES, 0):
        assert set(np.unique(image.mask)) == ({NO_DIGIT} if image.label == NO_DIGIT else {NO_DIGIT, image.label})


def test_both_layouts_are_read_back_with_as_many_of_each_class(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "classes", "train", SIDE, 2 * NUM_CLASSES, 0)
    write_images_and_masks(tmp_path / "masks", "train", SIDE, 5, 0)
    labels = [image.label for image in read_labelled_set(tmp_path / "classes").images]
    assert [labels.count(label) for label in range(NUM_CLASSES)] == [2] * NUM_CLASSES
    assert read_labelled_set(tmp_path / "masks").layout == "masks"


def test_every_family_has_its_smallest_network_in_the_study() -> None:
    assert {ZOO[network.model].family for network in NETWORKS} == {spec.family for spec in ZOO}
    assert all(network.side % ZOO[network.model].size_multiple == 0 for network in NETWORKS)


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of one layer, and epochs of 33 images."""

    def build(num_classes: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.Flatten(), nn.Linear(4 * 8 * 8, num_classes))

    spec = ModelSpec("linear", "linear", "classification", build, NUM_CLASSES, (SIDE, SIDE), 0, Source("", ""))
    monkeypatch.setattr(training, "ZOO", Registry("model", [spec], name_of=str))
    monkeypatch.setattr(training, "EPOCH_IMAGES", 33)
    monkeypatch.setattr(training, "BATCH", 11)


@pytest.mark.usefixtures("_small")
def test_a_training_that_was_stopped_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = TrainedNetwork("linear", SIDE, epochs=3)
    whole = training.train(network, tmp_path / "whole", NullReporter())
    draw, calls = training.draw_images, []

    def stopped(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return draw(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "draw_images", stopped)
    with pytest.raises(KeyboardInterrupt):
        training.train(network, tmp_path / "stopped", NullReporter())
    resumed = training.train(network, tmp_path / "stopped", NullReporter())
    assert len(calls) == 4
    for one, other in zip(*(torch.load(p, weights_only=True).values() for p in (whole, resumed)), strict=True):
        assert torch.equal(one, other)
    assert [path.name for path in (tmp_path / "stopped").iterdir()] == [whole.name]


def test_a_training_begins_near_the_identity_in_residual_blocks_and_layer_scales() -> None:
    mobilenet, edgenext = (
        ZOO[name].build(num_classes=NUM_CLASSES) for name in ("mobilenetv2-100", "edgenext-xx-small")
    )
    for network in (mobilenet, edgenext):
        training.initialise(network)
    blocks = [block for block in mobilenet.modules() if getattr(block, "residual", False)]
    assert len(blocks) == 10
    ends = [block.get_submodule("conv").get_parameter("3.weight") for block in blocks]
    assert all(weight.eq(training.LAYER_SCALE).all() for weight in ends)
    gammas = [tensor for name, tensor in edgenext.state_dict().items() if "gamma" in name]
    assert gammas
    assert all(gamma.eq(training.LAYER_SCALE).all() for gamma in gammas)


def outcome(value: float, sqnr_db: float | None = 30.0) -> Outcome:
    """Of an artifact whose float network is right for 0.9 of the images."""
    score = Score(
        "top1",
        Estimate(value, value - 0.01, value + 0.01),
        Estimate(0.9, 0.89, 0.91),
        Estimate(value - 0.9, value - 0.905, value - 0.89),
    )
    made = Evaluation(
        "m", "t", "", "d", "", "class folders", "local", "r", 2200, (), (score,), "2026-01-01T00:00:00+00:00"
    )
    return Outcome("f", 1.0, "", sqnr_db, 28.0, made, commit="abc", machine="a machine")


def test_a_drop_is_float_minus_int8_with_its_interval_turned_round() -> None:
    evaluation = outcome(0.88).evaluation
    assert evaluation is not None
    drop = drop_of(evaluation.main_score)
    assert drop is not None
    assert (drop.value, drop.low, drop.high) == pytest.approx((0.02, 0.01, 0.025))


def test_the_page_marks_what_misses_a_demand_and_names_what_was_not_measured() -> None:
    model = next(iter(NETWORKS)).model
    names = [f"{model}/{target}" for target in TARGETS]
    failed = replace(outcome(0.9), error="no such operator", evaluation=None)
    page = render(dict(zip(names, (outcome(0.895, 24.0), outcome(0.88), failed), strict=True)))
    rows = [line for line in page.splitlines() if line.startswith(f"| {model} ")]
    assert "| 0.50 |" in rows[0]
    assert "24.0*" in rows[0]
    assert "| 2.00* | 1.00 to 2.50 |" in rows[1]
    assert "failed: no such operator" in rows[2]
    assert "1 of 2 artifacts lose at most 1% of accuracy, 1 of 2 have at least 25 dB." in page
    assert f"Not measured yet: {', '.join(n.model for n in list(NETWORKS)[1:])}." in page


def test_the_page_says_how_many_networks_have_their_runtimes_near_each_other() -> None:
    one, other = (network.model for network in list(NETWORKS)[:2])
    near = {f"{one}/{target}": outcome(0.9, sqnr_db) for target, sqnr_db in zip(TARGETS, (30, 31, 33), strict=True)}
    far = {f"{other}/{target}": outcome(0.9, sqnr_db) for target, sqnr_db in zip(TARGETS, (30, 31, 34), strict=True)}
    assert f"within 3 dB of each other for 1 of 2 networks (apart: {other} 4.0 dB)." in render(near | far)


def test_a_searched_recipe_stands_beside_the_drop_of_the_plain_one() -> None:
    name = f"{next(iter(NETWORKS)).model}/{TARGETS[0]}"
    path = (RecipeStep("plain", 28.0), RecipeStep("float32 head", 29.0, 3, 0.895, 0.003, 0.001))
    search = RecipeSearch("a goal", True, path, 28.0, (), "bound", 100, 5)
    page = render({name: outcome(0.88), f"{name}/searched": replace(outcome(0.896), search=search)})
    assert f"| {name.replace('/', ' | ')} | float32 head | 3.0 | 2.00 | 0.30 ± 0.10 | 0.40 |" in page
    assert "1 artifacts lose" in page
