from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.models.rewrites.hoist_channel_affine import REWRITE

from .tools import rewritten

Function = Callable[["Levels", Tensor], Tensor]


class Levels(nn.Module):
    """Two 1x1 convolutions, put together by `function`, then a gain and a bias per channel."""

    def __init__(self, function: Function, *, bias: bool = True) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.affine = nn.Conv2d(8, 8, 1, groups=8, bias=bias)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.affine(self.function(self, x)))


def _resized(x: Tensor, mode: str = "bilinear") -> Tensor:
    return F.interpolate(x, size=(6, 8), mode=mode)


@pytest.mark.parametrize(
    "function",
    [
        lambda net, x: net.a(x) + net.b(x),
        lambda net, x: net.b(x) * torch.sigmoid(x.mean(1, True).expand(-1, 8, -1, -1)) + net.a(x),
        lambda net, x: torch.sigmoid(x.mean(1, True).expand(-1, 8, -1, -1)) * net.b(x) + net.a(x),
        lambda net, x: _resized(net.a(x[:, :, ::2, ::2])) + net.b(x),
        lambda net, x: _resized(net.a(x[:, :, ::2, ::2]), "nearest") + net.b(x),
    ],
)
def test_a_gain_and_a_bias_go_into_the_layers_of_a_sum(function: Function) -> None:
    done = rewritten(REWRITE, Levels(function), (2, 3, 6, 8))
    assert (done.applied, done.count("conv2d")) == (1, 2)
    assert done.error() < 1e-5


def test_a_gain_alone_goes_through_a_product() -> None:
    done = rewritten(REWRITE, Levels(lambda net, x: net.a(x) * net.b(x), bias=False), (2, 3, 6, 8))
    assert done.applied == 1
    assert done.error() < 1e-5


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda net, x: net.a(x) * net.b(x), "bias meets a product"),
        (lambda net, x: net.a(x).relu() + net.b(x), "relu further up"),
        (lambda net, x: net.a(x) + net.b(x)[:, :, :1], "add further up"),
        (lambda net, x: (y := net.a(x)) + net.b(x) * y, "several operators"),
    ],
)
def test_it_declines_with_a_reason(function: Function, reason: str) -> None:
    done = rewritten(REWRITE, Levels(function), (2, 3, 6, 8))
    assert done.applied == 0
    assert reason in done.declined[0].reason


def test_a_convolution_that_mixes_or_looks_around_is_left_alone() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 1)), (2, 8, 6, 8))
    assert (done.applied, done.declined) == (0, ())
