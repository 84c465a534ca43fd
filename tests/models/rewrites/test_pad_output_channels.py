from __future__ import annotations

import pytest
from torch import nn

from edgedeploy.models.rewrites.pad_output_channels import REWRITE

from .tools import rewritten

IMAGE = (2, 6, 5, 7)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("outputs", "padded"), [(36, 40), (150, 152), (9, 16)])
def test_a_convolution_gets_a_multiple_of_eight_outputs(outputs: int, padded: int, bias: bool) -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.Conv2d(6, outputs, 3, padding=1, bias=bias)), IMAGE)
    (conv,) = [node for node in done.after.graph.nodes if "conv2d" in str(node.target)]
    assert (done.applied, conv.meta["val"].shape[1], done.count("slice")) == (1, padded, 1)
    assert done.error() < 1e-6


def test_a_linear_layer_too() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.Linear(6, 36)), (2, 5, 6))
    assert (done.applied, done.count("slice")) == (1, 1)
    assert done.error() < 1e-6


def test_the_slice_comes_after_an_activation_that_the_layer_absorbs() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.Conv2d(6, 36, 1), nn.ReLU6()), IMAGE)
    order = [str(node.target) for node in done.after.graph.nodes if node.op == "call_function"]
    assert order[-1].startswith("aten.slice")
    assert done.error() < 1e-6


@pytest.mark.parametrize(
    "module", [nn.Conv2d(6, 40, 1), nn.Conv2d(6, 6, 1), nn.Conv2d(6, 1000, 1), nn.Conv2d(6, 12, 3, groups=6)]
)
def test_what_fills_its_tiles_is_narrow_or_grouped_is_left_alone(module: nn.Module) -> None:
    assert rewritten(REWRITE, nn.Sequential(module), IMAGE).applied == 0
