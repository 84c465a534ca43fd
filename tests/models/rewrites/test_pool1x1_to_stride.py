from __future__ import annotations

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.models.rewrites.pool1x1_to_stride import REWRITE

from .tools import rewritten


class Pick(nn.Module):
    """A pooling of kernel 1 before a convolution of some kernel size."""

    def __init__(self, kernel: int = 1, *, pool: int = 1, stride: int = 2) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, kernel)
        self.pool, self.stride = pool, stride

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.avg_pool2d(x, self.pool, self.stride))


class ReadTwice(nn.Module):
    """Two 1x1 convolutions of the same picked positions."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        picked = F.max_pool2d(x, 1, 2)
        return self.a(picked) + self.b(picked)


@pytest.mark.parametrize("stride", [2, 3])
def test_the_stride_goes_into_a_1x1_convolution(stride: int) -> None:
    done = rewritten(REWRITE, Pick(stride=stride), (2, 3, 7, 8))
    assert (done.applied, done.count("avg_pool2d"), done.count("conv2d")) == (1, 0, 1)
    assert done.error() < 1e-5


def test_the_stride_goes_into_every_1x1_convolution_that_reads_it() -> None:
    done = rewritten(REWRITE, ReadTwice(), (2, 3, 8, 8))
    assert (done.applied, done.count("max_pool2d"), done.count("conv2d")) == (1, 0, 2)
    assert done.error() < 1e-5


def test_before_other_layers_a_depthwise_convolution_copies() -> None:
    done = rewritten(REWRITE, Pick(kernel=3), (2, 3, 8, 8))
    assert (done.applied, done.count("avg_pool2d"), done.count("conv2d")) == (1, 0, 2)
    assert done.error() < 1e-5


def test_without_a_stride_nothing_is_left() -> None:
    done = rewritten(REWRITE, Pick(kernel=3, stride=1), (2, 3, 8, 8))
    assert (done.applied, done.count("avg_pool2d"), done.count("conv2d")) == (1, 0, 1)
    assert done.error() == 0


def test_a_pooling_that_averages_is_left_alone() -> None:
    done = rewritten(REWRITE, Pick(pool=2), (2, 3, 8, 8))
    assert (done.applied, done.count("avg_pool2d")) == (0, 1)


def test_without_a_batch_dimension_it_declines() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.AvgPool2d(1, 2)), (3, 8, 8))
    assert done.applied == 0
    assert "batch" in done.declined[0].reason
