from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.center_before_layer_norm import REWRITE

from .tools import rewritten

Function = Callable[["Layers", Tensor], Tensor]


class Layers(nn.Module):
    """Layers of 24 channels, with weights of mean `mean` and deviation 1, and a layer norm, as `function` joins them."""

    def __init__(self, function: Function, *, mean: float = 1.0) -> None:
        super().__init__()
        self.norm, self.channels_first = nn.LayerNorm(24), nn.LayerNorm((24, 4))
        self.linear, self.second = nn.Linear(24, 24), nn.Linear(24, 24, bias=False)
        self.conv, self.depthwise = nn.Conv2d(24, 24, 3, padding=1), nn.Conv2d(24, 24, 3, padding=1, groups=24)
        for layer in (self.linear, self.second, self.conv, self.depthwise):
            nn.init.normal_(layer.weight, mean=mean)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def _map(x: Tensor) -> Tensor:
    return x.transpose(1, 2).reshape(2, 24, 4, 6)


def _residual(net: Layers, x: Tensor) -> Tensor:
    x = x + net.linear(x)
    return net.norm(x + net.second(net.norm(x)))


def _centred(module: nn.Module) -> int:
    """How many weights have no mean over their outputs; those with weights of mean 1 had one of about 1."""
    weights = [value for value in module.state_dict().values() if value.ndim > 1]
    return sum(float(weight.mean(0).abs().max()) < 1e-6 for weight in weights)


@pytest.mark.parametrize(
    ("function", "layers"),
    [
        (lambda net, x: net.norm(net.linear(x)), 1),
        (lambda net, x: net.norm(net.conv(_map(x)).flatten(2).transpose(1, 2)), 1),
        (_residual, 2),
    ],
    ids=["linear", "convolution, permuted", "residual stream"],
)
def test_what_only_norms_read_loses_its_mean(function: Function, layers: int) -> None:
    torch.manual_seed(0)
    done = rewritten(REWRITE, Layers(function), (2, 24, 24))
    assert done.applied == layers
    assert done.error() < 1e-5
    assert _centred(done.after) == layers


@pytest.mark.parametrize(
    "function",
    [
        lambda net, x: net.norm(y := net.linear(x)) + y,
        lambda net, x: net.norm(net.linear(x).relu()),
        lambda net, x: net.norm(x * net.linear(x)),
        lambda net, x: net.channels_first(net.linear(x).reshape(2, 6, 4, 24).transpose(2, 3).reshape(2, 6, 24, 4)),
        lambda net, x: net.linear(x),
    ],
    ids=["another reader", "activation", "product", "two dimensions", "output"],
)
def test_a_layer_that_others_read_stays(function: Function) -> None:
    torch.manual_seed(0)
    assert rewritten(REWRITE, Layers(function), (2, 24, 24)).applied == 0


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Layers(lambda net, x: net.norm(net.linear(x)), mean=0.0), "only"),
        (Layers(lambda net, x: net.norm(net.depthwise(_map(x)).flatten(2).transpose(1, 2))), "different channels"),
    ],
    ids=["no mean", "groups"],
)
def test_it_declines_with_a_reason(module: nn.Module, reason: str) -> None:
    done = rewritten(REWRITE, module, (2, 24, 24))
    assert done.applied == 0
    assert reason in done.declined[0].reason
