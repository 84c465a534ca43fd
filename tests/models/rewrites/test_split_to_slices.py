from __future__ import annotations

import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.split_to_slices import REWRITE

from .tools import rewritten


class ChannelChunks(nn.Module):
    """EdgeNeXt's cascade: 10 channels in chunks of 4, 4 and 2."""

    def forward(self, x: Tensor) -> Tensor:
        a, b, c = x.split(4, dim=1)
        return torch.cat((a, a + b, c), 1)


class Unbound(nn.Module):
    """Parts of length one that lose their axis."""

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.unbind(1)
        return a - b


def test_uneven_chunks_become_slices() -> None:
    done = rewritten(REWRITE, ChannelChunks(), (2, 10, 3, 3))
    assert (done.applied, done.count("split"), done.count("slice")) == (1, 0, 3)
    assert done.error() == 0


def test_unbound_parts_lose_their_axis() -> None:
    done = rewritten(REWRITE, Unbound(), (3, 2, 5))
    assert (done.applied, done.count("unbind"), done.count("slice")) == (1, 0, 2)
    assert done.error() == 0
