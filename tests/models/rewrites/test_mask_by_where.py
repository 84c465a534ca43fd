from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.mask_by_where import REWRITE

from .tools import rewritten


class Masked(nn.Module):
    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, q: Tensor, k: Tensor) -> Tensor:
        return (q @ k.transpose(-1, -2) + self.mask).softmax(-1)


def causal(size: int, value: float) -> Tensor:
    return torch.full((size, size), value).triu(1)


SHAPES = ((2, 4, 6, 8), (2, 4, 6, 8))


@pytest.mark.parametrize("value", [-torch.inf, -1e9])
def test_a_mask_becomes_a_choice(value: float) -> None:
    done = rewritten(REWRITE, Masked(causal(6, value)), *SHAPES)
    assert (done.applied, done.count("add"), done.count("where")) == (1, 0, 1)
    assert done.error() < 1e-6


@pytest.mark.parametrize(
    ("mask", "reason"),
    [(causal(6, -torch.inf) + torch.eye(6), "other values"), (torch.full((6, 6), -torch.inf), "whole row")],
    ids=["biases", "no key"],
)
def test_other_masks_are_declined(mask: Tensor, reason: str) -> None:
    done = rewritten(REWRITE, Masked(mask), *SHAPES)
    assert done.applied == 0
    assert reason in done.declined[0].reason


def test_a_bias_is_left_alone() -> None:
    assert rewritten(REWRITE, Masked(torch.randn(6, 6)), *SHAPES).declined == ()
