from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.models.rewrites import capture
from edgedeploy.models.rewrites.l2_norm_to_rsqrt import REWRITE
from edgedeploy.models.rewrites.rewrite import rewrite_once

from .tools import rewritten


class Normalise(nn.Module):
    """F.normalize along an axis."""

    def __init__(self, dim: int, p: float = 2.0, eps: float = 1e-12) -> None:
        super().__init__()
        self.dim, self.p, self.eps = dim, p, eps

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, self.p, self.dim, self.eps)


@pytest.mark.parametrize("dim", [1, -1])
def test_a_normalisation_multiplies_by_a_reciprocal(dim: int) -> None:
    done = rewritten(REWRITE, Normalise(dim), (2, 6, 5))
    assert (done.applied, done.count("div"), done.count("linalg_vector_norm"), done.count("rsqrt")) == (1, 0, 0, 1)
    assert done.error() < 1e-5


def test_zeros_stay_zeros() -> None:
    captured = capture(Normalise(-1), (torch.randn(3, 4),))
    after, _, _ = rewrite_once(REWRITE, captured)
    assert torch.equal(after(torch.zeros(3, 4)), torch.zeros(3, 4))


@pytest.mark.parametrize(("p", "eps", "reason"), [(1.0, 1e-12, "not an L2 norm"), (2.0, 1e-30, "away from zero")])
def test_other_norms_and_norms_without_a_bound_are_declined(p: float, eps: float, reason: str) -> None:
    done = rewritten(REWRITE, Normalise(-1, p, eps), (3, 4))
    assert done.applied == 0
    assert reason in done.declined[0].reason
