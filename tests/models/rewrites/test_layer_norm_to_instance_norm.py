from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.layer_norm_to_instance_norm import REWRITE

from .tools import rewritten

CHANNELS = 12


def norm(*, gain: bool = True, bias: bool = True) -> nn.LayerNorm:
    module = nn.LayerNorm(CHANNELS)
    if gain:
        nn.init.uniform_(module.weight, 0.5, 1.5)
    if bias:
        nn.init.normal_(module.bias)
    return module


class BeforeConvolution(nn.Module):
    """A norm over the channels of a map, and a convolution that reads the map as it was."""

    def __init__(self, layer: nn.LayerNorm, *, padding: int) -> None:
        super().__init__()
        self.norm, self.layer = layer, nn.Conv2d(CHANNELS, 4, 3, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        return y


class BeforeSplitLayers(nn.Module):
    """A norm of tokens that three layers read."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.layers = norm(), nn.ModuleList(nn.Linear(CHANNELS, 6, bias=b) for b in (True, False, True))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        return self.layers[0](y) * self.layers[1](y) + self.layers[2](y)


@pytest.mark.parametrize("shape", [(2, 5, CHANNELS), (1, 3, 5, CHANNELS), (7, CHANNELS)])
def test_a_neutral_norm_becomes_an_instance_norm_whoever_reads_it(shape: tuple[int, ...]) -> None:
    done = rewritten(REWRITE, nn.Sequential(norm(gain=False, bias=False)), shape)
    assert (done.applied, done.count("layer_norm"), done.count("instance_norm")) == (1, 0, 1)
    assert done.error() < 1e-5


def test_the_layers_that_read_a_norm_take_up_its_gain_and_bias() -> None:
    done = rewritten(REWRITE, BeforeSplitLayers(), (2, 5, CHANNELS))
    assert (done.applied, done.count("layer_norm"), done.count("mul"), done.count("add")) == (1, 0, 1, 1)
    assert done.error() < 1e-5


def test_a_convolution_takes_them_up_through_a_permute() -> None:
    done = rewritten(REWRITE, BeforeConvolution(norm(), padding=0), (2, CHANNELS, 5, 5))
    assert (done.applied, done.count("mul")) == (1, 0)
    assert done.error() < 1e-5


def test_a_convolution_that_pads_takes_up_a_gain_and_no_bias() -> None:
    gain_alone = rewritten(REWRITE, BeforeConvolution(norm(bias=False), padding=1), (2, CHANNELS, 5, 5))
    both = rewritten(REWRITE, BeforeConvolution(norm(), padding=1), (2, CHANNELS, 5, 5))
    assert (gain_alone.applied, both.applied) == (1, 0)
    assert gain_alone.error() < 1e-5
    assert "pads with zeros" in both.declined[0].reason


class BeforeSum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.layer = norm(), nn.Linear(CHANNELS, CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        return y + self.layer(y)


class BeforeHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.layer = norm(), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(self.norm(x).reshape(2, 5, 3, 4))
        return y


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (BeforeSum(), "aten.add reads it"),
        (BeforeHeads(), "splits or joins the channels"),
        (nn.Sequential(nn.LayerNorm([5, CHANNELS])), "more than one dimension"),
    ],
)
def test_a_norm_whose_gain_finds_no_layer_declines(module: nn.Module, reason: str) -> None:
    done = rewritten(REWRITE, module, (2, 5, CHANNELS))
    assert done.applied == 0
    assert reason in done.declined[0].reason
    assert torch.equal(done.before(*done.inputs), done.after(*done.inputs))
