from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.models.rewrites.cancel_permutes import REWRITE
from edgedeploy.models.rewrites.layout import compose, grouping, inverse

from .tools import rewritten


class Run(nn.Module):
    """A function of a map, with a constant at hand."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.gain = nn.Parameter(torch.randn(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.gain)


CASES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], int]] = {
    "a pair that undoes itself": (lambda x, _: x.permute(0, 2, 3, 1).permute(0, 3, 1, 2) + 1, 0),
    "two that compose": (lambda x, _: x.permute(0, 2, 3, 1).transpose(0, 1), 1),
    "through an activation": (lambda x, _: F.gelu(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) + 1, 0),
    "through constants": (lambda x, g: (g + g * x.permute(0, 2, 3, 1) * 2).permute(0, 3, 1, 2) + 1, 0),
    "through a split into heads": (lambda x, _: x.permute(0, 2, 3, 1).reshape(2, 5, 6, 2, 2).permute(0, 3, 4, 1, 2), 0),
    "a split that leaves one": (lambda x, _: x.flatten(2).transpose(1, 2).reshape(2, 30, 2, 2).transpose(1, 2), 1),
    "through a merge": (lambda x, _: x.permute(0, 2, 1, 3).flatten(2).transpose(1, 2), 1),
}


@pytest.mark.parametrize("case", CASES)
def test_permutes_in_a_row_become_one_or_none(case: str) -> None:
    function, left = CASES[case]
    done = rewritten(REWRITE, Run(function), (2, 4, 5, 6))
    assert done.applied >= 1
    assert done.count("permute") + done.count("transpose") == left
    assert done.error() < 1e-6


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x, _: x.permute(0, 2, 3, 1).softmax(-1), "no other permute follows"),
        (lambda x, _: (y := x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) + y.sum(), "several operators read it"),
        (lambda x, _: x.permute(0, 2, 3, 1).reshape(2, 5, 8, 3).permute(0, 3, 1, 2), "no other permute follows"),
    ],
    ids=["softmax", "read_twice", "view_across_dimensions"],
)
def test_permutes_that_are_needed_stay(function: Callable[[Tensor, Tensor], Tensor], reason: str) -> None:
    done = rewritten(REWRITE, Run(function), (2, 4, 5, 6))
    assert reason in done.declined[0].reason
    assert done.error() < 1e-6


def test_permutations_compose_and_invert_as_torch_does() -> None:
    x, p, q = torch.randn(2, 3, 4, 5), (2, 0, 3, 1), (1, 3, 0, 2)
    assert torch.equal(x.permute(p).permute(q), x.permute(compose(p, q)))
    assert torch.equal(x.permute(p).permute(inverse(p)), x)


@pytest.mark.parametrize(
    ("coarse", "fine", "groups"),
    [((6, 4), (2, 3, 4), [[0, 1], [2]]), ((1, 4), (1, 4), [[0], [1]]), ((6, 4), (4, 6), None), ((6,), (2, 2), None)],
)
def test_views_are_grouped_by_the_dimensions_that_they_split(
    coarse: tuple[int, ...], fine: tuple[int, ...], groups: list[list[int]] | None
) -> None:
    assert grouping(coarse, fine) == groups


def test_a_permuted_constant_lies_in_memory_in_its_new_order() -> None:
    # ExecuTorch reads the order of dimensions off the strides, also those of dimensions of length 1
    done = rewritten(REWRITE, Run(CASES["through constants"][0]), (2, 4, 5, 6))
    strides = [constant.stride() for constant in done.after.buffers() if constant.ndim == 4]
    assert strides == [(4, 1, 1, 1)] * 2
