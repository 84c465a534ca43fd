from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.window_shift_to_gather import REWRITE
from edgedeploy.models.swin import partition, unpartition

from .tools import Shape, rewritten


class Roll(nn.Module):
    """A cyclic shift alone."""

    def __init__(self, shifts: tuple[int, ...], dims: tuple[int, ...]) -> None:
        super().__init__()
        self.shifts, self.dims = shifts, dims

    def forward(self, x: Tensor) -> Tensor:
        return torch.roll(x, self.shifts, self.dims) * 2


class ShiftedWindows(nn.Module):
    """Swin's way there and back, with something between that is no move."""

    def forward(self, x: Tensor) -> Tensor:
        _, h, w, _ = x.shape
        windows = partition(torch.roll(x * 2, (-3, -3), (1, 2))).sin()
        return torch.roll(unpartition(windows, h, w), (3, 3), (1, 2))[:, : h - 1] + 1


class ReadTwice(nn.Module):
    """The shifted map is read beside the windows that are cut from it."""

    def forward(self, x: Tensor) -> Tensor:
        shifted = torch.roll(x, (-3, -3), (1, 2))
        return partition(shifted).mean() + shifted


def test_shift_and_windows_become_one_permutation_each_way() -> None:
    done = rewritten(REWRITE, ShiftedWindows(), (2, 14, 21, 6))
    assert (done.applied, done.count("roll"), done.count("permute"), done.count("index_select")) == (2, 0, 0, 2)
    assert done.error() == 0


@pytest.mark.parametrize(
    ("shifts", "dims", "shape"),
    [((2,), (1,), (2, 7, 3)), ((-3, 1), (2, 3), (2, 3, 7, 8)), ((9,), (-1,), (2, 7)), ((7,), (1,), (2, 7, 3))],
    ids=["one_axis", "two_axes", "more_than_once_around", "all_the_way_round"],
)
def test_a_shift_alone_becomes_slices(shifts: tuple[int, ...], dims: tuple[int, ...], shape: Shape) -> None:
    done = rewritten(REWRITE, Roll(shifts, dims), shape)
    assert (done.applied, done.count("roll"), done.count("index_select")) == (1, 0, 0)
    assert done.error() == 0


def test_a_shift_that_is_read_twice_stays_one_value() -> None:
    done = rewritten(REWRITE, ReadTwice(), (1, 14, 14, 4))
    assert (done.applied, done.count("index_select"), done.count("cat")) == (1, 0, 2)
    assert done.error() == 0


def test_a_shift_of_the_flattened_value_is_declined() -> None:
    done = rewritten(REWRITE, Roll((2,), ()), (3, 4))
    assert done.applied == 0
    assert "flattened" in done.declined[0].reason
