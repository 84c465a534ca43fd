from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from edgedeploy.models.rewrites.depthwise_by_columns import REWRITE

from .tools import rewritten


def depthwise(kernel: Any, **options: Any) -> nn.Module:
    return nn.Sequential(nn.Conv2d(6, 6, kernel, groups=6, **options))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        (3, 2, 1),
        (3, (1, 2), 0),
        (5, 1, 2),
        (5, 2, 2),
        (5, 1, 0),
        (7, 1, 3),
        (7, (2, 1), (3, 1)),
        ((3, 5), 1, (1, 3)),
        ((5, 4), 2, (2, 1)),
        (9, 1, 4),
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_a_depthwise_convolution_becomes_the_sum_of_its_shifted_columns(
    kernel: Any, stride: Any, padding: Any, bias: bool
) -> None:
    done = rewritten(REWRITE, depthwise(kernel, stride=stride, padding=padding, bias=bias), (2, 6, 12, 15))
    assert done.applied == 1
    kernels = [node.args[1].meta["val"].shape for node in done.after.graph.nodes if "conv2d" in str(node.target)]
    assert all(width == 1 for *_, width in kernels)
    assert done.error() < 1e-5


def test_the_activation_follows_the_sum_where_it_can_be_fused() -> None:
    done = rewritten(REWRITE, nn.Sequential(depthwise(5, padding=2), nn.ReLU6()), (1, 6, 12, 12))
    order = [str(node.target) for node in done.after.graph.nodes if node.op == "call_function"]
    last_layer = max(index for index, name in enumerate(order) if "conv2d" in name)
    assert "hardtanh" in order[last_layer + 1] or "relu6" in order[last_layer + 1]
    assert done.error() < 1e-5


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (depthwise(5, dilation=2), "dilated"),
        (depthwise(3, padding=1), "few taps"),
        (depthwise(5, padding=4), "pads"),
    ],
)
def test_it_declines_with_a_reason(module: nn.Module, reason: str) -> None:
    done = rewritten(REWRITE, module, (1, 6, 16, 16))
    assert done.applied == 0
    assert reason in done.declined[0].reason


@pytest.mark.parametrize(
    "module", [nn.Conv2d(6, 6, 5), nn.Conv2d(6, 12, 5, groups=6), nn.Conv2d(6, 6, (5, 1), groups=6)]
)
def test_other_convolutions_are_left_alone(module: nn.Module) -> None:
    done = rewritten(REWRITE, nn.Sequential(module), (1, 6, 12, 12))
    assert (done.applied, done.declined) == (0, ())
