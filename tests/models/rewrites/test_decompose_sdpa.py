from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.models.rewrites.decompose_sdpa import REWRITE

from .tools import rewritten


class Attention(nn.Module):
    """Fused attention of a value with itself."""

    def __init__(self, *, scale: float | None = None, causal: bool = False, mask: Tensor | None = None) -> None:
        super().__init__()
        self.scale, self.causal = scale, causal
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        mask = self.get_buffer("mask") if self.mask is not None else None
        return F.scaled_dot_product_attention(x, x.sin(), x + 1, mask, is_causal=self.causal, scale=self.scale)


@pytest.mark.parametrize("scale", [None, 0.7])
@pytest.mark.parametrize("masked", [True, False], ids=["mask", "no_mask"])
def test_fused_attention_becomes_products_and_a_softmax(scale: float | None, masked: bool) -> None:
    mask = torch.where(torch.rand(5, 5) < 0.3, -100.0, 0.0) if masked else None
    done = rewritten(REWRITE, Attention(scale=scale, mask=mask), (2, 3, 5, 4))
    assert (done.applied, done.count("matmul"), done.count("scaled_dot_product_attention")) == (1, 2, 0)
    assert done.error() < 1e-5


@pytest.mark.parametrize(
    "module",
    [Attention(causal=True), Attention(mask=torch.eye(5, dtype=torch.bool))],
    ids=["causal", "boolean_mask"],
)
def test_fixed_masks_are_added(module: nn.Module) -> None:
    done = rewritten(REWRITE, module, (2, 3, 5, 4))
    assert (done.applied, done.count("add")) == (1, 2)
    assert done.error() < 1e-5


def test_a_mask_that_leaves_out_a_whole_row_is_declined() -> None:
    done = rewritten(REWRITE, Attention(mask=torch.zeros(5, 5, dtype=torch.bool)), (2, 3, 5, 4))
    assert done.applied == 0
    assert "whole row" in done.declined[0].reason
