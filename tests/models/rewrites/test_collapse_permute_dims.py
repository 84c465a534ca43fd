from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.collapse_permute_dims import REWRITE, merge
from edgedeploy.models.swin import partition, unpartition

from .tools import rewritten


class Windows(nn.Module):
    """Cut into windows and put together again."""

    def forward(self, x: Tensor) -> Tensor:
        return unpartition(partition(x).sin(), x.shape[1], x.shape[2])


class FiveWays(nn.Module):
    """Five dimensions that all move."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(2, 3, 4, 5, 6).permute(4, 2, 0, 3, 1).reshape(-1)


def ranks(module: torch.fx.GraphModule) -> int:
    """The largest number of dimensions of any value."""
    return max(node.meta["val"].ndim for node in module.graph.nodes if node.op == "call_function")


def test_windows_are_partitioned_and_merged_in_four_dimensions() -> None:
    done = rewritten(REWRITE, Windows(), (2, 14, 21, 6))
    assert done.applied == 2
    assert (ranks(done.before), ranks(done.after)) == (6, 4)
    assert done.error() == 0


def test_dimensions_that_all_move_are_declined() -> None:
    done = rewritten(REWRITE, FiveWays(), (6, 120))
    assert done.applied == 0
    assert "different directions" in done.declined[0].reason


@pytest.mark.parametrize(
    ("sides", "order"),
    [
        ((2, 3, 4, 5, 6), (0, 1, 3, 2, 4)),
        ((1, 8, 7, 8, 7, 6), (0, 1, 3, 2, 4, 5)),
        ((2, 1, 3, 4), (3, 1, 0, 2)),
        ((2, 3, 1, 4), (2, 0, 1, 3)),
        ((2, 3), (0, 1)),
        ((1, 1), (1, 0)),
        ((4, 1, 3), (2, 1, 0)),
    ],
)
def test_merged_dimensions_do_the_same_permute(sides: tuple[int, ...], order: tuple[int, ...]) -> None:
    x = torch.randn(sides)
    merged = merge(sides, order)
    assert len(merged.sides) <= len(sides)
    assert torch.equal(x.reshape(merged.sides).permute(merged.order).flatten(), x.permute(order).flatten())
