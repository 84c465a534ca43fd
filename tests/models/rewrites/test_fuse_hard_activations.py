from __future__ import annotations

from collections.abc import Callable

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.models.rewrites.fuse_hard_activations import REWRITE

from .tools import rewritten

MAP = (2, 6, 5, 7)


class Calls(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(4 * x)  # wide enough to meet both clamps


@pytest.mark.parametrize(
    ("spelling", "operator"),
    [
        pytest.param(lambda x: F.relu6(x + 3) / 6, "hardsigmoid", id="relu6_over_six"),
        pytest.param(lambda x: F.hardtanh(x + 3.0, 0.0, 6.0) * (1 / 6), "hardsigmoid", id="hardtanh_times_a_sixth"),
        pytest.param(lambda x: (x + 3).clamp(0, 6) / 6.0, "hardsigmoid", id="clamp_over_six"),
        pytest.param(lambda x: x * F.relu6(x + 3) / 6, "hardswish", id="x_relu6_over_six"),
        pytest.param(lambda x: x * F.hardsigmoid(x), "hardswish", id="x_times_hardsigmoid"),
    ],
)
def test_every_spelling_becomes_the_one_operator(spelling: Callable[[Tensor], Tensor], operator: str) -> None:
    done = rewritten(REWRITE, Calls(spelling), MAP)
    assert (done.applied, done.count(operator)) == (1, 1)
    assert done.error() < 1e-6


def test_x_times_spelled_out_hard_sigmoid_becomes_hard_swish_in_two_steps() -> None:
    done = rewritten(REWRITE, Calls(lambda x: x * (F.relu6(x + 3) / 6)), MAP)
    assert (done.applied, done.count("hardswish"), done.count("hardsigmoid")) == (2, 1, 0)
    assert done.error() < 1e-6


def test_a_gate_on_another_value_stays_a_gate() -> None:
    done = rewritten(REWRITE, Calls(lambda x: x.sin() * F.hardsigmoid(x)), MAP)
    assert done.applied == 0
    assert "it is a gate" in done.declined[0].reason
