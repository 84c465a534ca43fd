"""Seeded random weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgedeploy.models.loading.random_weights import randomize, randomize_layers, state_sha256
from edgedeploy.models.zoo import ZOO

SPEC = ZOO["topformer-tiny"]


def test_random_weights_are_the_same_at_every_call_and_leave_torchs_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = randomize(SPEC, seed=0), randomize(SPEC, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert state_sha256(first) == state_sha256(second) != state_sha256(randomize(SPEC, seed=1))


@pytest.mark.parametrize(
    ("layer", "mean"),
    [
        (nn.Conv2d(3, 4000, 3), 0.5),  # a stem: few terms
        (nn.Conv2d(144, 400, 3), 0.0),  # a long sum
        (nn.Conv2d(1296, 400, 1), 0.5),
        (nn.Conv2d(4000, 4000, 3, groups=4000), 0.5),
    ],
    ids=["stem", "dense window", "pointwise", "depthwise"],
)
def test_random_weights_share_a_mean_except_where_a_dense_kernel_sums_many_terms(layer: nn.Conv2d, mean: float) -> None:
    randomize_layers(nn.Sequential(layer), seed=0)
    fan_in = layer.weight[0].numel()
    assert float(layer.weight.detach().mean()) * fan_in**0.5 == pytest.approx(mean, abs=0.03)


def test_a_network_that_is_one_bare_layer_gets_random_weights() -> None:
    layer = nn.Linear(4, 4)
    before = layer.weight.detach().clone()
    randomize_layers(layer, seed=0)
    assert not torch.equal(layer.weight, before)


def test_the_layer_to_keep_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    first, last = (layer.get_parameter("weight").detach().clone() for layer in network)
    randomize_layers(network, seed=0, keep="1")
    assert not torch.equal(network.get_parameter("0.weight"), first)
    assert torch.equal(network.get_parameter("1.weight"), last)
