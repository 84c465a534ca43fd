from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.join_depthwise_parts import REWRITE

from .tools import rewritten


class Parts(nn.Module):
    """Convolutions of the first parts of the channels, beside the other parts."""

    def __init__(self, widths: Sequence[int], convolutions: Sequence[nn.Module], *, backwards: bool = False) -> None:
        super().__init__()
        self.widths, self.convolutions, self.backwards = widths, nn.ModuleList(convolutions), backwards

    def forward(self, x: Tensor) -> Tensor:
        ends = [sum(self.widths[: i + 1]) for i in range(len(self.widths))]
        parts = [x[:, end - width : end] for width, end in zip(self.widths, ends, strict=True)]
        for i, convolution in enumerate(self.convolutions):
            parts[i] = convolution(parts[i])
        return torch.cat(parts[::-1] if self.backwards else parts, 1)


def depthwise(channels: int, kernel: int = 3, *, bias: bool = True, dilation: int = 1, **options: Any) -> nn.Conv2d:
    padding = options.pop("padding", dilation * (kernel // 2))
    return nn.Conv2d(
        channels, channels, kernel, padding=padding, groups=channels, bias=bias, dilation=dilation, **options
    )


@pytest.mark.parametrize(
    ("widths", "convolutions"),
    [
        ((6, 4), [depthwise(6)]),
        ((4, 5, 3), [depthwise(4, bias=False), depthwise(5, 1)]),
        ((6, 4), [depthwise(6, dilation=2)]),
    ],
)
def test_convolved_and_copied_channels_become_one_convolution(widths: list[int], convolutions: list[nn.Conv2d]) -> None:
    done = rewritten(REWRITE, Parts(widths, convolutions), (2, sum(widths), 7, 8))
    assert (done.applied, done.count("conv2d"), done.count("cat"), done.count("slice")) == (1, 1, 0, 0)
    assert done.error() < 1e-5


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (Parts((5, 5), [depthwise(5)], backwards=True), "order"),
        (Parts((5, 5), [depthwise(5, 5)]), "taps"),
        (Parts((4, 6), [depthwise(4)]), "copied"),
        (Parts((5, 5), [nn.Conv2d(5, 5, 3, padding=1)]), "depthwise"),
        (Parts((5, 5), [nn.Sequential(depthwise(5, padding=2), depthwise(5, padding=0))]), "size"),
        (Parts((5, 5), [nn.Sequential(depthwise(5), depthwise(5))]), "more than channels"),
    ],
)
def test_it_declines_what_is_no_gain_or_not_equal(network: nn.Module, reason: str) -> None:
    done = rewritten(REWRITE, network, (2, 10, 7, 8))
    assert [reason in declined.reason for declined in done.declined] == [True]
