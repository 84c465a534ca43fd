from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.fold_layer_norm_affine import REWRITE

from .tools import rewritten

Function = Callable[["Norm", Tensor], Tensor]


class Norm(nn.Module):
    """A layer norm with a gain and a bias, whose result `function` gives to two layers."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        nn.init.normal_(self.norm.weight)
        nn.init.normal_(self.norm.bias)
        self.linear, self.conv = nn.Linear(8, 6), nn.Conv2d(8, 6, 1, 2)
        self.grouped, self.padded = nn.Conv2d(8, 8, 1, groups=2), nn.Conv2d(8, 8, 3, padding=1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, self.norm(x))


def _map(x: Tensor) -> Tensor:
    return x.transpose(1, 2).reshape(2, 8, 4, 6)


@pytest.mark.parametrize(
    "function",
    [
        lambda net, x: net.linear(x),
        lambda net, x: net.conv(_map(x)),
        lambda net, x: net.grouped(_map(x)),
        lambda net, x: net.linear(torch.nn.functional.avg_pool2d(_map(x), 1, 2).flatten(2).transpose(1, 2)),
        lambda net, x: torch.cat([net.linear(x).flatten(), net.conv(_map(x)).flatten()]),
    ],
)
def test_gain_and_bias_go_into_the_layers_that_read_the_norm(function: Function) -> None:
    done = rewritten(REWRITE, Norm(function), (2, 24, 8))
    (norm,) = [node for node in done.after.graph.nodes if "layer_norm" in str(node.target)]
    assert (done.applied, norm.args[2:4]) == (1, (None, None))
    assert done.error() < 1e-5


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda net, x: net.padded(_map(x)), "pads with zeros"),
        (lambda net, x: x + 1, "add reads it"),
        (lambda net, x: torch.cat([net.linear(x).flatten(), x.relu().flatten()]), "relu reads it"),
        (lambda net, x: net.conv(x.reshape(2, 8, 4, 6)), "reads it"),
    ],
)
def test_it_declines_with_a_reason(function: Function, reason: str) -> None:
    done = rewritten(REWRITE, Norm(function), (2, 24, 8))
    assert done.applied == 0
    assert reason in done.declined[0].reason


def test_a_norm_without_gain_and_bias_is_left_alone() -> None:
    module = nn.Sequential(nn.LayerNorm(8, elementwise_affine=False), nn.Linear(8, 4))
    assert rewritten(REWRITE, module, (2, 24, 8)).declined == ()
