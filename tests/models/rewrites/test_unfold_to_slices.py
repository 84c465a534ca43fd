from __future__ import annotations

import pytest
from torch import Tensor, nn

from edgedeploy.models.rewrites.unfold_to_slices import REWRITE

from .tools import rewritten

Cut = tuple[int, int, int]


class Unfold(nn.Module):
    """Unfolds one axis after the other: (axis, size, step) each."""

    def __init__(self, *cuts: Cut) -> None:
        super().__init__()
        self.cuts = cuts

    def forward(self, x: Tensor) -> Tensor:
        for axis, size, step in self.cuts:
            x = x.unfold(axis, size, step)
        return x * 2


@pytest.mark.parametrize(
    "cuts",
    [
        [(2, 12, 8), (3, 12, 8)],
        [(3, 4, 4), (2, 5, 3)],
        [(2, 3, 1)],
        [(-1, 3, 2)],
        [(2, 4, 4)],
        [(2, 8, 8)],
        [(2, 2, 5)],
        [(2, 20, 1)],
        [(1, 2, 1), (3, 6, 4), (0, 1, 1)],
    ],
    ids=["halo", "two sizes", "by values", "last axis", "side by side", "rest", "gaps", "one", "three axes"],
)
def test_windows_become_slices_and_one_permute(cuts: list[Cut]) -> None:
    done = rewritten(REWRITE, Unfold(*cuts), (2, 3, 20, 20))
    assert (done.applied, done.count("unfold"), done.error()) == (1, 0, 0)
    assert done.count("permute") <= 1


@pytest.mark.parametrize("cuts", [[(2, 8, 4), (2, 2, 1)], [(2, 8, 4), (4, 2, 1)]], ids=["same axis", "in windows"])
def test_windows_of_windows_are_cut_one_after_the_other(cuts: list[Cut]) -> None:
    done = rewritten(REWRITE, Unfold(*cuts), (2, 3, 20, 20))
    assert (done.applied, done.count("unfold"), done.error()) == (2, 0, 0)


def test_an_axis_takes_as_few_slices_as_windows_or_their_values() -> None:
    assert rewritten(REWRITE, Unfold((2, 3, 1)), (1, 2, 20)).count("slice") == 3
    assert rewritten(REWRITE, Unfold((2, 12, 8)), (1, 2, 20)).count("slice") == 2


def test_windows_side_by_side_take_no_slice() -> None:
    assert rewritten(REWRITE, Unfold((2, 4, 4)), (1, 2, 20)).count("slice") == 0


def test_an_unfold_that_others_read_stays_one() -> None:
    class Both(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.unfold(2, 4, 2)
            return y.unfold(3, 4, 2).sum(dim=(3, 4, 5)) + y.sum(dim=(3, 4))

    done = rewritten(REWRITE, Both(), (1, 2, 8, 8))
    assert (done.applied, done.count("unfold")) == (2, 0)
    assert done.error() < 1e-5
