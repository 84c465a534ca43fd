from __future__ import annotations

import pytest

from edgedeploy.models.rewrites.mean_to_keepdim import REWRITE

from .tools import Mean, rewritten


@pytest.mark.parametrize("axes", [(2, 3), (-1, -2)])
def test_a_mean_over_a_map_keeps_its_sides_and_a_view_drops_them(axes: tuple[int, ...]) -> None:
    done = rewritten(REWRITE, Mean(axes), (2, 5, 4, 3))
    assert (done.applied, done.count("reshape")) == (1, 1)
    (mean,) = [node for node in done.after.graph.nodes if str(node.target) == "aten.mean.dim"]
    assert tuple(mean.meta["val"].shape) == (2, 5, 1, 1)
    assert done.error() < 1e-6


@pytest.mark.parametrize(("axes", "keep"), [((2, 3), True), ((1,), False), ((1, 2), False), ((1, 2, 3), False)])
def test_other_means_are_left_alone(axes: tuple[int, ...], keep: bool) -> None:
    assert rewritten(REWRITE, Mean(axes, keep=keep), (2, 5, 4, 3)).applied == 0
