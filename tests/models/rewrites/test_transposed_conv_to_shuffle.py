from __future__ import annotations

import pytest
from torch import nn

from edgedeploy.models.rewrites.transposed_conv_to_shuffle import GROUPED, REWRITE

from .tools import rewritten


@pytest.mark.parametrize("rate", [2, 3])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
def test_a_depthwise_spread_becomes_a_convolution_and_a_shuffle(rate: int, bias: bool) -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.ConvTranspose2d(6, 6, rate, rate, groups=6, bias=bias)), (2, 6, 4, 5))
    assert (done.applied, done.count("conv_transpose2d"), done.count("conv2d")) == (1, 0, 1)
    assert done.error() < 1e-5


@pytest.mark.parametrize(
    "module",
    [
        nn.ConvTranspose2d(6, 6, 3, 2, groups=6),
        nn.ConvTranspose2d(6, 6, 3, 2, 1, 1, groups=6),
        nn.ConvTranspose2d(6, 6, 5, 2, 2, 1, groups=6),
        nn.ConvTranspose2d(6, 6, 2, 3, groups=6),
        nn.ConvTranspose2d(6, 6, 3, 1, (0, 1), groups=6),
        nn.ConvTranspose2d(6, 4, 4, 2, 1, groups=2),
    ],
    ids=["overlap", "padding", "kernel 5", "gaps", "stride 1", "groups of three channels"],
)
def test_windows_may_overlap_have_gaps_and_be_cut_off(module: nn.Module) -> None:
    done = rewritten(REWRITE, nn.Sequential(module), (2, 6, 4, 5))
    assert (done.applied, done.count("conv_transpose2d")) == (1, 0)
    assert done.error() < 1e-5


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.ConvTranspose2d(6, 6, 3, 2, groups=6, dilation=2), "dilated"),
        (nn.ConvTranspose2d(6, 6, (3, 2), 2, groups=6), "not square"),
        (nn.ConvTranspose2d(6, 6, 2, 2, output_padding=1, groups=6), "beyond"),
    ],
    ids=["dilation", "kernel", "output padding"],
)
def test_other_transposed_convolutions_are_declined(module: nn.Module, reason: str) -> None:
    done = rewritten(REWRITE, nn.Sequential(module), (2, 6, 4, 5))
    assert done.applied == 0
    assert reason in done.declined[0].reason


def test_without_groups_it_is_left_alone() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.ConvTranspose2d(6, 6, 2, 2)), (2, 6, 4, 5))
    assert (done.applied, done.count("conv_transpose2d")) == (0, 1)


def test_for_onnx_runtime_only_groups_of_several_outputs_change() -> None:
    assert rewritten(GROUPED, nn.Sequential(nn.ConvTranspose2d(6, 6, 2, 2, groups=6)), (2, 6, 4, 5)).applied == 0
    done = rewritten(GROUPED, nn.Sequential(nn.ConvTranspose2d(6, 4, 3, 2, 1, groups=2)), (2, 6, 4, 5))
    assert done.applied == 1
    assert done.error() < 1e-5
