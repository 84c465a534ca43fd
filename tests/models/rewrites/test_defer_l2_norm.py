from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.models.rewrites import capture, defer_l2_norm, l2_norm_to_rsqrt
from edgedeploy.models.rewrites.rewrite import rewrite_once

from .tools import operators


class CrossCovariance(nn.Module):
    """q and k normalised along the N tokens that their product contracts."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        q, k = F.normalize(x, dim=self.dim), F.normalize(x.sin(), dim=self.dim)
        return q @ k.transpose(-2, -1)


def deferred(module: nn.Module, *shape: int) -> tuple[torch.fx.GraphModule, int, list[str]]:
    """The module after l2_norm_to_rsqrt and defer_l2_norm; how often the second was applied, and why not."""
    captured = capture(module, (torch.randn(shape),))
    after, _, _ = rewrite_once(l2_norm_to_rsqrt.REWRITE, captured)
    after, applied, declined = rewrite_once(defer_l2_norm.REWRITE, after)
    return after, applied, [one.reason for one in declined]


def test_norms_along_the_contracted_axis_scale_the_product() -> None:
    x = torch.randn(2, 3, 4, 50)
    after, applied, _ = deferred(CrossCovariance(), 2, 3, 4, 50)
    assert applied == 1
    assert torch.allclose(after(x), CrossCovariance()(x), atol=1e-6)
    large = [n for n in after.graph.nodes if n.target == torch.ops.aten.mul.Tensor and n.meta["val"].shape[-1] == 50]
    assert len(large) == 2, "only the squares are taken on whole factors"
    assert operators(after)["aten.rsqrt"] == 2


def test_a_product_larger_than_its_factors_is_declined() -> None:
    _, applied, reasons = deferred(CrossCovariance(), 2, 3, 50, 4)
    assert applied == 0
    assert "larger" in reasons[0]


def test_norms_along_another_axis_are_left_alone() -> None:
    _, applied, _ = deferred(CrossCovariance(dim=-2), 2, 3, 4, 50)
    assert applied == 0
