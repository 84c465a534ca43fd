from __future__ import annotations

import pytest
from torch import nn

from edgedeploy.models.rewrites.wide_linear_to_conv import REWRITE

from .tools import rewritten


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 4), (2, 5, 4), (2, 3, 5, 4)])
def test_a_layer_with_more_outputs_than_inputs_becomes_a_convolution(shape: tuple[int, ...], bias: bool) -> None:
    done = rewritten(REWRITE, nn.Linear(4, 7, bias=bias), shape)
    assert done.applied == 1
    assert (done.count("linear"), done.count("conv2d")) == (0, 1)
    assert done.error() < 1e-6


@pytest.mark.parametrize(
    ("layer", "shape", "reason"),
    [(nn.Linear(4, 4), (2, 5, 4), "4 outputs of 4 inputs"), (nn.Linear(4, 7), (1, 1, 4), "one vector")],
)
def test_others_are_declined_with_a_reason(layer: nn.Module, shape: tuple[int, ...], reason: str) -> None:
    done = rewritten(REWRITE, layer, shape)
    assert done.applied == 0
    assert reason in done.declined[0].reason
