from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.join_broadcast_dims import REWRITE

from .tools import Shape, rewritten


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor, Tensor], Tensor] = torch.add) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.function(x, y)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((2, 3, 4, 1, 5), (2, 3, 4, 6, 1)),
        ((2, 3, 4, 6, 5), (4, 1, 5)),
        ((2, 3, 1, 1, 5), (2, 3, 4, 6, 5)),
        ((2, 1, 3, 1, 4, 5), (1, 1, 3, 1, 4, 1)),
        ((2, 3, 4, 6, 5), (1,)),
    ],
    ids=["rows and columns", "fewer dimensions", "middle", "sides of one", "one value"],
)
@pytest.mark.parametrize("function", [torch.add, torch.mul, torch.atan2], ids=["add", "mul", "atan2"])
def test_neighbours_that_broadcast_alike_are_joined(
    one: Shape, other: Shape, function: Callable[[Tensor, Tensor], Tensor]
) -> None:
    done = rewritten(REWRITE, Function(function), one, other)
    (computed,) = (node for node in done.after.graph.nodes if function.__name__ in str(node.target))
    assert (done.applied, done.error()) == (1, 0)
    assert computed.meta["val"].ndim <= 4


@pytest.mark.parametrize(
    ("one", "other", "declined"),
    [
        ((2, 3, 4, 6, 5), (2, 3, 4, 6, 5), 0),
        ((2, 3, 4, 6), (2, 1, 4, 1), 0),
        ((2, 1, 4, 1, 5), (1, 3, 1, 6, 1), 1),
    ],
    ids=["equal shapes", "four dimensions", "every other dimension"],
)
def test_others_are_left_alone(one: Shape, other: Shape, declined: int) -> None:
    done = rewritten(REWRITE, Function(), one, other)
    assert (done.applied, len(done.declined)) == (0, declined)
