from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.batch_norm_to_depthwise import REWRITE

from .tools import rewritten

MAP = (2, 6, 9, 11)


class BehindSum(nn.Module):
    """A norm of a sum, which no layer can take."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + x.sin()).relu()


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(6), nn.BatchNorm2d(6, affine=False)], ids=["affine", "plain"])
def test_a_norm_of_a_sum_is_a_depthwise_convolution(norm: nn.Module) -> None:
    done = rewritten(REWRITE, BehindSum(norm), MAP)
    assert (done.applied, done.count("batch_norm"), done.count("conv2d")) == (1, 0, 1)
    assert done.error() < 1e-6


def test_a_large_mean_beside_a_small_deviation_stays_exact() -> None:
    norm = nn.BatchNorm2d(6)
    norm.running_mean = torch.full((6,), 100.0)
    norm.running_var = torch.full((6,), 1e-2)
    assert rewritten(REWRITE, BehindSum(norm), MAP).error() < 1e-4


def test_a_norm_of_vectors_stays() -> None:
    done = rewritten(REWRITE, BehindSum(nn.BatchNorm1d(6)), (4, 6))
    assert (done.applied, done.count("batch_norm")) == (0, 1)
