"""Networks as they are loaded: weights, the first run, random inputs, stage outputs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from edgedeploy.core.errors import ModelInvalid, UsageError, WeightsInvalid
from edgedeploy.models.loading import with_features, with_random_weights_settled
from edgedeploy.models.loading.random_weights import state_sha256

from .user_nets import NET, load


def test_weights_of_an_own_network_are_loaded_exactly(here: Path) -> None:
    state = {key: value + 1 for key, value in create_model_state(here).items()}
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, here / "own.pth")
    network = load("net.py:small", inputs=("1x3x16x16",), weights=here / "own.pth")
    assert torch.equal(network.module.state_dict()["0.weight"], state["0.weight"])
    assert network.weights.kind == "checkpoint"
    torch.save({key: value for key, value in state.items() if key != "0.bias"}, here / "less.pth")
    with pytest.raises(WeightsInvalid, match=r"does not fit net\.py:small") as caught:
        load("net.py:small", inputs=("1x3x16x16",), weights=here / "less.pth")
    assert "0.bias" in str(caught.value)


def create_model_state(here: Path) -> dict[str, torch.Tensor]:
    return load("net.py:small", inputs=("1x3x16x16",)).module.state_dict()


def test_a_network_that_does_not_run_names_the_module(here: Path) -> None:
    (here / "narrow.py").write_text(NET)
    with pytest.raises(ModelInvalid, match="does not run on an input of 1x3x16x16") as caught:
        load("narrow.py:Narrow", inputs=("1x3x16x16",))
    assert "module: body.1 (Conv2d)" in str(caught.value)
    assert "expected input" in str(caught.value)


def test_drawn_integers_lie_between_the_examples_values(here: Path) -> None:
    network = load("net.py:two")
    tokens = np.concatenate([network.draw(np.random.default_rng(seed))[1] for seed in range(20)])
    example = network.examples[1]
    assert example.min() <= tokens.min()
    assert tokens.max() <= example.max()
    assert len(np.unique(tokens)) > 5


def test_features_are_the_four_stage_outputs_under_a_name_of_their_own() -> None:
    network = with_features(load("edgenext-xx-small", input_size=(64, 64)))
    assert network.name == "edgenext-xx-small-features"
    assert network.output_names == ("stride_4", "stride_8", "stride_16", "stride_32")
    with pytest.raises(UsageError, match="segmentation network"):
        with_features(load("topformer-tiny", input_size=(64, 64)))


def test_a_network_is_never_changed() -> None:
    network = load("edgenext-xx-small-bn-hs", input_size=(64, 64))
    images = np.random.default_rng(0).standard_normal((4, 3, 64, 64)).astype(np.float32)
    settled = with_random_weights_settled(network, images)
    assert (network.weights.sha256, settled.weights.sha256) == ("", state_sha256(settled.module))
    assert settled.module is network.module
    assert settled.random
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.name = "other"  # type: ignore[misc]


def test_random_weights_settle_to_the_same_values_for_the_same_images() -> None:
    images = np.random.default_rng(0).standard_normal((4, 3, 64, 64)).astype(np.float32)
    first, second, other = (
        with_random_weights_settled(load("edgenext-xx-small-bn-hs", input_size=(64, 64)), given).weights.sha256
        for given in (images, images, images + 1)
    )
    assert first == second != other
