from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.fold_layer_scale import REWRITE

from .tools import rewritten


class Scaled(nn.Module):
    """A layer, perhaps a permute, a factor, and the sum with the input."""

    def __init__(self, layer: nn.Module, factor: Tensor, order: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.layer, self.factor, self.order = layer, nn.Parameter(factor), order

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        y = y if self.order is None else y.permute(self.order)
        return torch.relu(self.factor * y)


FACTOR = torch.linspace(0.5, 2.0, 6)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (Scaled(nn.Linear(4, 6), FACTOR), (2, 5, 4)),
        (Scaled(nn.Linear(4, 6, bias=False), FACTOR.reshape(6, 1, 1), (0, 3, 1, 2)), (2, 5, 3, 4)),
        (Scaled(nn.Conv2d(4, 6, 3, groups=2), FACTOR.reshape(1, 6, 1, 1)), (2, 4, 5, 5)),
    ],
    ids=["linear", "linear and permute", "convolution"],
)
def test_a_factor_per_channel_becomes_part_of_the_layer(module: nn.Module, shape: tuple[int, ...]) -> None:
    done = rewritten(REWRITE, module, shape)
    assert (done.applied, done.count("mul")) == (1, 0)
    assert done.error() < 1e-5


class ReadTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.factor = nn.Linear(4, 6), nn.Parameter(FACTOR)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y + self.factor * y


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (ReadTwice(), "also read elsewhere"),
        (Scaled(nn.ReLU(), torch.rand(4)), "no layer"),
        (Scaled(nn.Linear(4, 6), torch.rand(5, 1)), "not along the layer's outputs"),
        (Scaled(nn.Linear(4, 6), torch.rand(5, 6)), "not one for each channel"),
    ],
)
def test_other_factors_are_declined(module: nn.Module, reason: str) -> None:
    done = rewritten(REWRITE, module, (2, 5, 4))
    assert done.applied == 0
    assert reason in done.declined[0].reason
