"""Swin: the cyclic shift that the other families do without."""

from __future__ import annotations

import pytest
import torch

from edgedeploy.models import swin
from edgedeploy.models.swin import MASKED, partition, shift_mask, unpartition


def rolls(size: tuple[int, int]) -> int:
    program = torch.export.export(swin.swin("tiny"), (torch.randn(1, 3, *size),))
    return sum(node.target == torch.ops.aten.roll.default for node in program.graph.nodes)


def test_every_second_block_really_rolls_except_where_one_window_is_the_whole_map() -> None:
    assert rolls((224, 224)) == 2 * 5  # there and back; stage 4's map is 7x7


def test_the_smallest_map_is_shifted_too_where_it_is_larger_than_a_window() -> None:
    assert rolls((256, 256)) == 2 * 6


def test_unpartition_is_the_inverse_of_partition() -> None:
    x = torch.randn(2, 14, 21, 4)
    assert partition(x).shape == (2 * 6, 49, 4)
    assert torch.equal(unpartition(partition(x), 14, 21), x)


@pytest.mark.parametrize("shift", [(3, 3), (3, 0), (0, 3)])
def test_the_mask_lets_only_old_neighbours_see_each_other(shift: tuple[int, int]) -> None:
    h, w = 14, 21
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    positions = torch.stack((rows, columns), dim=-1)[None]
    moved = partition(torch.roll(positions, (-shift[0], -shift[1]), dims=(1, 2)))  # (n, 49, 2), old coordinates
    apart = moved[:, :, None] - moved[:, None, :]
    neighbours = (apart.abs() < 7).all(dim=-1)
    mask = shift_mask(h, w, shift, torch.device("cpu"))[:, 0]
    assert torch.equal(mask == 0, neighbours)
    assert mask.unique().tolist() == [MASKED, 0.0]


def test_the_bias_table_is_indexed_by_distance() -> None:
    index = swin.relative_position_index().reshape(7, 7, 7, 7)
    assert index[0, 0, 0, 0] == index[6, 3, 6, 3] == 6 * 13 + 6
    assert index[6, 0, 0, 6] == 12 * 13 + 0
    assert index[2, 5, 3, 3] == (2 - 3 + 6) * 13 + (5 - 3 + 6)
