from __future__ import annotations

import pytest

from edgedeploy.models.rewrites.mean_of_channels_last_map import REWRITE

from .tools import Mean, rewritten


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("axes", [(2, 3), (-1, -2)])
def test_the_mean_of_a_map_reads_it_in_channel_last_order(axes: tuple[int, ...], keep: bool) -> None:
    done = rewritten(REWRITE, Mean(axes, keep=keep), (2, 5, 4, 3))
    assert (done.applied, done.count("permute")) == (1, 1 + keep)
    assert done.error() < 1e-5


@pytest.mark.parametrize("axes", [(1,), (1, 2), (1, 2, 3)])
def test_other_means_are_left_alone(axes: tuple[int, ...]) -> None:
    assert rewritten(REWRITE, Mean(axes), (2, 5, 4, 3)).applied == 0
