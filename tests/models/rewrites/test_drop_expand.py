from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.drop_expand import REWRITE

from .tools import rewritten


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.function(x.relu(), y.relu())


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: x * y.expand_as(x),
        lambda x, y: y.expand(-1, 6, 4, 5) + x,
        lambda x, y: x - y.expand_as(x),
        lambda x, y: x + y.expand(2, 1, 4, 1),
    ],
    ids=["product", "sum", "difference", "no change of shape"],
)
def test_an_expanded_operand_is_read_as_it_was(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    done = rewritten(REWRITE, Function(function), (2, 6, 4, 5), (2, 1, 4, 1))
    assert (done.applied, done.count("expand")) == (1, 0)
    assert done.error() == 0.0


@pytest.mark.parametrize(
    "function",
    [lambda x, y: x * (1 + y.expand_as(x)), lambda x, y: x + (y.expand_as(x) / 2).sigmoid().clamp(max=0.7)],
    ids=["sum with a number", "chain"],
)
def test_an_expand_moves_behind_element_wise_operators(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    done = rewritten(REWRITE, Function(function), (2, 6, 4, 5), (2, 1, 4, 1))
    assert done.count("expand") == done.count("expand_as") == 0
    assert done.error() == 0.0


def test_an_expand_moves_behind_permutes() -> None:
    function = Function(lambda x, y: x.permute(0, 2, 1, 3) * y.expand(2, 6, 4, 5).transpose(1, 2).abs())
    done = rewritten(REWRITE, function, (2, 6, 4, 5), (2, 1, 4, 1))
    assert (done.count("expand"), done.count("transpose")) == (0, 0)
    assert done.error() == 0.0


def test_the_last_expand_that_gives_the_result_its_shape_stays() -> None:
    done = rewritten(
        REWRITE, Function(lambda x, y: y.expand(2, 6, 4, 1) * y.exp().expand(2, 6, 4, 1)), (2,), (2, 1, 4, 1)
    )
    assert (done.applied, done.count("expand")) == (1, 1)
    assert done.error() == 0.0


def test_an_expand_before_a_concatenation_stays() -> None:
    function = Function(lambda x, y: torch.cat([x, y.expand(2, 6, 4, 5)]))
    done = rewritten(REWRITE, function, (2, 6, 4, 5), (2, 1, 4, 1))
    assert (done.applied, done.count("expand")) == (0, 1)
