from __future__ import annotations

import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.own_parameters import REWRITE

from .tools import rewritten


class Shared(nn.Module):
    """One head for two maps, as pyramids have it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return torch.cat([self.head(x).flatten(2), self.head(x[:, :, ::2]).flatten(2)], 2)


def test_each_call_of_a_head_reads_parameters_of_its_own() -> None:
    done = rewritten(REWRITE, Shared(), (1, 3, 8, 8))
    read = [node.target for node in done.after.graph.nodes if node.op == "get_attr" for _ in node.users]
    assert done.applied == 1
    assert len(set(read)) == len(read) == 6
    assert done.error() == 0.0


def test_layers_that_share_nothing_stay() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)), (1, 3, 8, 8))
    assert (done.applied, done.declined) == (0, ())
