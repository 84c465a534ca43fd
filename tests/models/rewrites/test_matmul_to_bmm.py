from __future__ import annotations

from torch import Tensor, nn

from edgedeploy.models.rewrites.matmul_to_bmm import REWRITE

from .tools import rewritten


class Product(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a @ b.transpose(-2, -1)


def test_a_product_of_four_dimensions_becomes_one_of_three() -> None:
    done = rewritten(REWRITE, Product(), (2, 3, 5, 4), (2, 3, 6, 4))
    assert (done.applied, done.count("bmm"), done.count("matmul")) == (1, 1, 0)
    assert done.error() < 1e-6


def test_a_product_that_broadcasts_is_declined() -> None:
    done = rewritten(REWRITE, Product(), (2, 3, 5, 4), (1, 3, 6, 4))
    assert done.applied == 0
    assert "broadcast" in done.declined[0].reason


def test_a_product_of_three_dimensions_is_left_alone() -> None:
    assert rewritten(REWRITE, Product(), (3, 5, 4), (3, 6, 4)).declined == ()
