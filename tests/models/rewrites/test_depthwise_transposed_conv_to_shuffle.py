from __future__ import annotations

import pytest
from torch import nn

from edgedeploy.models.rewrites.depthwise_transposed_conv_to_shuffle import REWRITE

from .tools import rewritten


@pytest.mark.parametrize("rate", [2, 3])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
def test_a_depthwise_spread_becomes_a_convolution_and_a_shuffle(rate: int, bias: bool) -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.ConvTranspose2d(6, 6, rate, rate, groups=6, bias=bias)), (2, 6, 4, 5))
    assert (done.applied, done.count("conv_transpose2d"), done.count("conv2d")) == (1, 0, 1)
    assert done.error() < 1e-5


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.ConvTranspose2d(6, 6, 3, 2, groups=6), "overlap"),
        (nn.ConvTranspose2d(6, 6, 2, 3, groups=6), "gaps"),
        (nn.ConvTranspose2d(6, 6, 2, 2, padding=1, groups=6), "pads"),
        (nn.ConvTranspose2d(6, 6, 2, 2, groups=3), "more than one channel"),
    ],
    ids=["overlap", "gaps", "padding", "groups"],
)
def test_other_transposed_convolutions_are_declined(module: nn.Module, reason: str) -> None:
    done = rewritten(REWRITE, nn.Sequential(module), (2, 6, 4, 5))
    assert done.applied == 0
    assert reason in done.declined[0].reason
