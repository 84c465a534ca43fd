from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.models.layers import ChannelLayerNorm
from edgedeploy.models.rewrites import ALL, apply, capture, seeded_inputs
from edgedeploy.models.rewrites.channels_first_layer_norm import REWRITE

from .tools import operators, rewritten

NAMES = ("channels_first_layer_norm", "linear_to_conv", "cancel_permutes")


class ConvNeXtBlock(nn.Module):
    """Depthwise, then norm and two linear layers in channel-last order; residual."""

    def __init__(self) -> None:
        super().__init__()
        self.dw, self.norm = nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.LayerNorm(6, eps=1e-6)
        self.fc1, self.fc2, self.gamma = nn.Linear(6, 24), nn.Linear(24, 6), nn.Parameter(torch.rand(6))
        nn.init.normal_(self.norm.weight)
        nn.init.normal_(self.norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dw(x).permute(0, 2, 3, 1))
        return x + (self.gamma * self.fc2(F.gelu(self.fc1(y)))).permute(0, 3, 1, 2)


class StaysLast(nn.Module):
    """The normed map goes on in channel-last order."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(6)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).flatten(1, 2).softmax(1)


def test_a_norm_over_channels_needs_no_permutes() -> None:
    done = rewritten(REWRITE, ChannelLayerNorm(6), (2, 6, 5, 7))
    assert (done.applied, done.count("layer_norm"), done.count("permute")) == (1, 0, 0)
    assert done.error() < 1e-5


def test_a_norm_of_large_values_with_a_small_spread_keeps_its_precision() -> None:
    done = rewritten(REWRITE, ChannelLayerNorm(6), (2, 6, 5, 7))
    x = done.inputs[0] + 100
    assert torch.allclose(done.after(x), done.before(x), atol=1e-3)


def test_with_the_layers_behind_it_a_whole_block_stays_channel_first() -> None:
    inputs = seeded_inputs([(2, 6, 5, 7)], seed=0)
    done = apply([r for r in ALL if r.name in NAMES], capture(ConvNeXtBlock().eval(), inputs), [inputs])
    left = operators(done.module)
    assert (left["aten.permute"], left["aten.linear"], left["aten.layer_norm"]) == (0, 0, 0)
    assert max(step.relative_error for step in done.outcomes) < 1e-5


def test_where_the_map_stays_channel_last_it_declines() -> None:
    done = rewritten(REWRITE, StaysLast(), (2, 6, 5, 7))
    assert done.applied == 0
    assert "channels last" in done.declined[0].reason


def test_a_norm_of_tokens_is_left_alone() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.LayerNorm(6)), (2, 9, 6))
    assert (done.applied, done.count("layer_norm")) == (0, 1)
