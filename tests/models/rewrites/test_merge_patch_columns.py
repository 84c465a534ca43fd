from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from edgedeploy.models.rewrites.merge_patch_columns import REWRITE

from .tools import rewritten


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(4, 4, 0), (2, 2, 0), ((3, 2), (1, 2), (1, 0)), ((1, 3), (1, 3), 0)]
)
def test_columns_of_a_window_become_channels(kernel: Any, stride: Any, padding: Any, bias: bool) -> None:
    module = nn.Sequential(nn.Conv2d(3, 5, kernel, stride, padding, bias=bias))
    done = rewritten(REWRITE, module, (2, 3, 8, 12))
    (conv,) = [node for node in done.after.graph.nodes if "conv2d" in str(node.target)]
    assert (done.applied, conv.args[3][1]) == (1, 1)
    assert done.error() < 1e-5


@pytest.mark.parametrize(
    ("module", "reason"),
    [(nn.Conv2d(3, 5, 2, 2, padding=1), "pads"), (nn.Conv2d(3, 5, 5, 5), "columns over")],
)
def test_it_declines_with_a_reason(module: nn.Module, reason: str) -> None:
    done = rewritten(REWRITE, nn.Sequential(module), (2, 3, 8, 12))
    assert done.applied == 0
    assert reason in done.declined[0].reason


@pytest.mark.parametrize("module", [nn.Conv2d(3, 5, 3, 2), nn.Conv2d(3, 5, 1), nn.Conv2d(3, 3, 2, 2, groups=3)])
def test_overlapping_windows_single_columns_and_groups_are_left_alone(module: nn.Module) -> None:
    assert rewritten(REWRITE, nn.Sequential(module), (2, 3, 8, 12)).declined == ()
