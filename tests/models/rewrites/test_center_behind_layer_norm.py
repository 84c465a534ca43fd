from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.center_behind_layer_norm import REWRITE

from .tools import rewritten

Function = Callable[["Norm", Tensor], Tensor]


class Norm(nn.Module):
    """A layer norm without gain and bias, whose result `function` gives to a layer with weights of mean 1."""

    def __init__(self, function: Function, *, affine: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8, elementwise_affine=affine)
        self.linear, self.padded = nn.Linear(8, 6), nn.Conv2d(8, 6, 3, padding=1, bias=False)
        self.grouped = nn.Conv2d(8, 8, 1, groups=2)
        for layer in (self.linear, self.padded, self.grouped):
            nn.init.normal_(layer.weight, mean=1.0)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, self.norm(x))


def _map(x: Tensor) -> Tensor:
    return x.transpose(1, 2).reshape(2, 8, 4, 6)


def _weights(module: nn.Module) -> list[Tensor]:
    return [value for value in module.state_dict().values() if value.ndim > 1]


@pytest.mark.parametrize(
    "function",
    [
        lambda net, x: net.linear(x),
        lambda net, x: net.padded(_map(x)),
        lambda net, x: torch.cat([net.linear(x).flatten(), x.relu().flatten()]),
    ],
    ids=["linear", "padded convolution", "beside another reader"],
)
def test_the_weights_of_the_layers_behind_a_norm_lose_their_mean(function: Function) -> None:
    done = rewritten(REWRITE, Norm(function), (2, 24, 8))
    assert done.applied == 1
    assert done.error() < 1e-5
    assert min(float(weight.mean(1).abs().max()) for weight in _weights(done.after)) < 1e-6, "was about 1"


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Norm(lambda net, x: net.linear(x), affine=True), "gain or a bias"),
        (Norm(lambda net, x: net.grouped(_map(x))), "no layer of all channels"),
        (Norm(lambda net, x: x.relu()), "no layer of all channels"),
        (nn.Sequential(nn.LayerNorm((24, 8), elementwise_affine=False), nn.Linear(8, 4)), "more than one dimension"),
    ],
    ids=["gain", "groups", "no layer", "two dimensions"],
)
def test_it_declines_with_a_reason(module: nn.Module, reason: str) -> None:
    done = rewritten(REWRITE, module, (2, 24, 8))
    assert done.applied == 0
    assert reason in done.declined[0].reason
