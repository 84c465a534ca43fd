from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.models.rewrites import capture
from edgedeploy.models.rewrites.l2_norm import LATE, RECIPROCAL
from edgedeploy.models.rewrites.rewrite import rewrite_once

from .tools import operators, rewritten


class Normalise(nn.Module):
    """F.normalize along an axis."""

    def __init__(self, dim: int, p: float = 2.0, eps: float = 1e-12) -> None:
        super().__init__()
        self.dim, self.p, self.eps = dim, p, eps

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, self.p, self.dim, self.eps)


class CrossCovariance(nn.Module):
    """q and k normalised along the N tokens that their product contracts."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        q, k = F.normalize(x, dim=self.dim), F.normalize(x.sin(), dim=self.dim)
        return q @ k.transpose(-2, -1)


@pytest.mark.parametrize("dim", [1, -1])
def test_a_normalisation_multiplies_by_a_reciprocal(dim: int) -> None:
    done = rewritten(RECIPROCAL, Normalise(dim), (2, 6, 5))
    assert (done.fired, done.count("div"), done.count("linalg_vector_norm"), done.count("rsqrt")) == (1, 0, 0, 1)
    assert done.error() < 1e-5


def test_zeros_stay_zeros() -> None:
    captured = capture(Normalise(-1), (torch.randn(3, 4),))
    after, _, _ = rewrite_once(RECIPROCAL, captured)
    assert torch.equal(after(torch.zeros(3, 4)), torch.zeros(3, 4))


@pytest.mark.parametrize(("p", "eps", "reason"), [(1.0, 1e-12, "no L2 norm"), (2.0, 1e-30, "away from zero")])
def test_other_norms_and_norms_without_a_floor_are_declined(p: float, eps: float, reason: str) -> None:
    done = rewritten(RECIPROCAL, Normalise(-1, p, eps), (3, 4))
    assert done.fired == 0
    assert reason in done.declined[0].reason


def late(module: nn.Module, *shape: int) -> tuple[torch.fx.GraphModule, int, list[str]]:
    """The module with reciprocals, then late norms; how often the second fired, and why not."""
    captured = capture(module, (torch.randn(shape),))
    after, _, _ = rewrite_once(RECIPROCAL, captured)
    after, fired, declined = rewrite_once(LATE, after)
    return after, fired, [place.reason for place in declined]


def test_norms_along_the_contracted_axis_scale_the_product() -> None:
    x = torch.randn(2, 3, 4, 50)
    after, fired, _ = late(CrossCovariance(), 2, 3, 4, 50)
    assert fired == 1
    assert torch.allclose(after(x), CrossCovariance()(x), atol=1e-6)
    large = [n for n in after.graph.nodes if n.target == torch.ops.aten.mul.Tensor and n.meta["val"].shape[-1] == 50]
    assert len(large) == 2, "only the squares are taken on whole factors"
    assert operators(after)["aten.rsqrt"] == 2


def test_a_product_larger_than_its_factors_is_declined() -> None:
    _, fired, reasons = late(CrossCovariance(), 2, 3, 50, 4)
    assert fired == 0
    assert "larger" in reasons[0]


def test_norms_along_another_axis_are_left_alone() -> None:
    _, fired, _ = late(CrossCovariance(dim=-2), 2, 3, 4, 50)
    assert fired == 0
