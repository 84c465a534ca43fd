from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from edgedeploy.models.rewrites.merge_stem_columns import REWRITE

from .tools import rewritten


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        (3, {"stride": 2, "padding": 1}),
        (3, {"stride": 2}),
        (5, {"stride": 2, "padding": 2}),
        (7, {"stride": 2, "padding": 3}),
        ((2, 3), {"stride": (1, 2), "padding": (0, 1)}),
        (3, {"stride": 2, "padding": (2, 1), "dilation": (2, 1)}),
    ],
)
def test_a_stem_reads_pairs_of_columns(kernel: Any, options: dict[str, Any], bias: bool) -> None:
    done = rewritten(REWRITE, nn.Conv2d(3, 5, kernel, bias=bias, **options), (2, 3, 11, 12))
    assert done.applied == 1
    assert done.error() < 1e-5


@pytest.mark.parametrize(
    ("module", "width", "reason"),
    [
        (nn.Conv2d(3, 5, 3, stride=2, padding=1), 11, "pairs"),
        (nn.Conv2d(3, 5, 4, stride=2, padding=1), 12, "pairs"),
        (nn.Conv2d(3, 5, 3, stride=2, padding=2, dilation=2), 12, "dilates"),
        (nn.Conv2d(3, 5, (1, 5), stride=2, padding=(0, 0)), 12, None),
    ],
)
def test_others_are_declined_with_a_reason(module: nn.Module, width: int, reason: str | None) -> None:
    done = rewritten(REWRITE, module, (1, 3, 9, width))
    assert done.applied == (reason is None)
    assert done.error() < 1e-5
    assert all(reason is not None and reason in declined.reason for declined in done.declined)


@pytest.mark.parametrize(
    "module", [nn.Conv2d(8, 5, 3, stride=2), nn.Conv2d(3, 5, 3), nn.Conv2d(3, 6, 3, stride=2, groups=3)]
)
def test_many_channels_other_strides_and_groups_are_left_alone(module: nn.Conv2d) -> None:
    done = rewritten(REWRITE, module, (1, module.in_channels, 9, 12))
    assert (done.applied, done.declined) == (0, ())
