from __future__ import annotations

import pytest
from torch import nn

from edgedeploy.models.rewrites.conv3d_to_conv2d import REWRITE

from .tools import rewritten


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv3d(4, 6, (3, 5, 1), padding=(1, 2, 0)),
        nn.Conv3d(4, 6, (1, 3, 3), padding=(0, 1, 1), bias=False),
        nn.Conv3d(4, 6, (3, 1, 3), stride=(2, 2, 1), padding=(1, 1, 0)),
        nn.Conv3d(4, 6, 1),
        nn.Conv3d(4, 6, 3, stride=2, padding=1),
        nn.Conv3d(4, 4, 3, padding=1, groups=4),
        nn.Conv3d(4, 6, (3, 2, 3), stride=(1, 2, 1), dilation=(1, 2, 1), groups=2),
    ],
    ids=["last", "first", "middle, stride", "kernel 1", "three taps", "depthwise", "groups, dilation"],
)
def test_it_becomes_a_convolution_of_images(module: nn.Module) -> None:
    done = rewritten(REWRITE, nn.Sequential(module), (2, 4, 6, 7, 8))
    assert (done.applied, done.count("conv3d"), done.count("conv2d")) == (1, 0, 1)
    assert done.error() < 1e-5


def test_a_kernel_with_a_side_of_one_reads_its_input_as_it_is() -> None:
    done = rewritten(REWRITE, nn.Conv3d(4, 6, (3, 3, 1), padding=(1, 1, 0)), (2, 4, 6, 7, 8))
    assert (done.count("slice"), done.count("pad"), done.count("cat")) == (0, 0, 0)


def test_an_input_without_a_batch_is_left_alone() -> None:
    done = rewritten(REWRITE, nn.Conv3d(4, 6, 1), (4, 6, 7, 8))
    assert done.applied == 0
