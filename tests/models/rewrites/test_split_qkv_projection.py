from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.split_qkv_projection import REWRITE

from .tools import rewritten


class Heads(nn.Module):
    """q, k, v as vision transformers cut them: (B, N, 3C) read as (3, heads, d)."""

    def __init__(self, order: tuple[int, ...], *, bias: bool = True) -> None:
        super().__init__()
        self.qkv, self.order = nn.Linear(12, 36, bias=bias), order

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).reshape(2, 5, 3, 4, 3).permute(self.order).unbind(0)
        return q.sin() + k * 2 + v


class Cut(nn.Module):
    """A layer whose features are split, evenly or not."""

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        self.fc, self.sizes = nn.Linear(6, sum(sizes)), sizes

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([part.sin() * (i + 1) for i, part in enumerate(self.fc(x).split(self.sizes, -1))], -1)


class HeadsOutside(Heads):
    """The parts are the innermost factor of the features: they are no blocks of rows."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).reshape(2, 5, 4, 3, 3).permute(3, 0, 2, 1, 4).unbind(0)
        return q.sin() + k * 2 + v


@pytest.mark.parametrize("order", [(2, 0, 3, 1, 4), (2, 0, 3, 4, 1)], ids=["tokens", "channels"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
def test_q_k_v_get_a_layer_each(order: tuple[int, ...], bias: bool) -> None:
    done = rewritten(REWRITE, Heads(order, bias=bias), (2, 5, 12))
    assert (done.applied, done.count("linear"), done.count("unbind"), done.count("permute")) == (1, 3, 0, 3)
    assert all(node.meta["val"].ndim <= 4 for node in done.after.graph.nodes if node.op == "call_function")
    assert done.error() < 1e-5


@pytest.mark.parametrize("sizes", [[4, 4], [3, 5, 1]], ids=["even", "uneven"])
def test_a_split_layer_becomes_a_layer_a_part(sizes: list[int]) -> None:
    done = rewritten(REWRITE, Cut(sizes), (2, 6))
    assert (done.applied, done.count("linear")) == (1, len(sizes))
    assert done.error() < 1e-5


def test_parts_that_are_no_blocks_of_features_are_declined() -> None:
    done = rewritten(REWRITE, HeadsOutside((0,)), (2, 5, 12))
    assert done.applied == 0
    assert "not blocks" in done.declined[0].reason
