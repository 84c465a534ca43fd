from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.center_before_variance import OF_LAYER, REWRITE

from .tools import rewritten


@pytest.mark.parametrize("shape", [(6,), (5, 6)], ids=["one_axis", "two_axes"])
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
def test_a_norm_becomes_its_arithmetic(shape: tuple[int, ...], affine: bool) -> None:
    done = rewritten(REWRITE, nn.LayerNorm(shape, elementwise_affine=affine), (2, 5, 6))
    assert (done.applied, done.count("layer_norm"), done.count("mean")) == (1, 0, 2)
    assert done.error() < 1e-5


def test_it_loses_fewer_digits_of_a_small_spread_around_a_large_mean_than_the_converter() -> None:
    done = rewritten(REWRITE, nn.LayerNorm(64), (8, 64))
    x = done.inputs[0] * 0.01 + 100
    exact = nn.LayerNorm(64).double()(x.double())

    def difference_of_products(x: Tensor) -> Tensor:
        r = (x.var(-1, correction=0, keepdim=True) + 1e-5).rsqrt()
        return x * r - x.mean(-1, keepdim=True) * r

    ours, theirs = ((y.double() - exact).abs().max() for y in (done.after(x), difference_of_products(x)))
    assert ours < 0.7 * theirs


def test_other_norms_are_left_alone() -> None:
    done = rewritten(REWRITE, nn.GroupNorm(2, 6), (2, 6, 5))
    assert (done.applied, done.count("group_norm")) == (0, 1)


def test_gain_and_bias_stay() -> None:
    module = nn.LayerNorm(6)
    nn.init.normal_(module.weight)
    nn.init.normal_(module.bias)
    done = rewritten(REWRITE, module, (2, 5, 6))
    assert torch.allclose(done.after(done.inputs[0]), module(done.inputs[0]), atol=1e-5)


class NormOfLayer(nn.Module):
    """A convolution, its map in channel-last order, and a norm over the channels."""

    def __init__(self, *, bias: bool = True, twice: bool = False, groups: int = 1) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 6, 2, stride=2, bias=bias, groups=groups)
        self.norm = nn.LayerNorm(6)
        self.twice = twice

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x).flatten(2).transpose(1, 2)
        return self.norm(x) + x if self.twice else self.norm(x)


@pytest.mark.parametrize("bias", [True, False])
def test_the_mean_comes_off_the_layer_that_the_norm_alone_reads(bias: bool) -> None:
    done = rewritten(OF_LAYER, NormOfLayer(bias=bias), (2, 3, 8, 8))
    assert (done.count("mean"), done.count("sub")) == (1, 0)
    assert done.error() < 1e-5
    linear = rewritten(OF_LAYER, nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6)), (2, 5, 4))
    assert linear.count("sub") == 0
    assert linear.error() < 1e-5


def test_without_that_rewrite_the_layer_keeps_its_mean() -> None:
    done = rewritten(REWRITE, NormOfLayer(), (2, 3, 8, 8))
    assert (done.count("mean"), done.count("sub")) == (2, 1)


@pytest.mark.parametrize(
    "module",
    [NormOfLayer(twice=True), NormOfLayer(groups=3), nn.Sequential(nn.Conv2d(3, 6, 1), nn.LayerNorm(8))],
    ids=["read elsewhere", "groups", "another axis"],
)
def test_a_layer_whose_outputs_are_not_the_norms_alone_is_left_alone(module: nn.Module) -> None:
    done = rewritten(OF_LAYER, module, (2, 3, 8, 8))
    assert (done.applied, len(done.declined)) == (0, 1)
