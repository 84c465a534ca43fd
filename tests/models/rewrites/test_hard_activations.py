from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.models.rewrites.hard_activations import CLIPPED, WHOLE

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
    done = rewritten(WHOLE, Calls(spelling), MAP)
    assert (done.fired, done.count(operator)) == (1, 1)
    assert done.error() < 1e-6


def test_x_times_spelled_out_hard_sigmoid_becomes_hard_swish_in_two_steps() -> None:
    done = rewritten(WHOLE, Calls(lambda x: x * (F.relu6(x + 3) / 6)), MAP)
    assert (done.fired, done.count("hardswish"), done.count("hardsigmoid")) == (2, 1, 0)
    assert done.error() < 1e-6


def test_a_gate_on_another_value_stays_a_gate() -> None:
    done = rewritten(WHOLE, Calls(lambda x: x.sin() * F.hardsigmoid(x)), MAP)
    assert done.fired == 0
    assert "it is a gate" in done.declined[0].reason


class Injection(nn.Module):
    """local * resize(hard_sigmoid(conv(tokens))), the shape of TopFormer's injection."""

    def __init__(self, *, read_twice: bool = False) -> None:
        super().__init__()
        self.gate, self.local = nn.Conv2d(6, 4, 1), nn.Conv2d(6, 4, 3, padding=1, bias=False)
        self.read_twice = read_twice

    def forward(self, tokens: Tensor, x: Tensor) -> Tensor:
        gate = F.hardsigmoid(self.gate(3 * tokens))
        product = self.local(x) * F.interpolate(gate, size=x.shape[2:], mode="bilinear")
        return product + gate.mean() if self.read_twice else product


def test_a_hard_sigmoid_gate_dissolves_into_its_neighbours() -> None:
    done = rewritten(CLIPPED, Injection(), (1, 6, 3, 3), (1, 6, 12, 12))
    assert (done.fired, done.count("hardsigmoid"), done.count("relu6")) == (1, 0, 1)
    assert done.count("div") == done.count("add") == 0
    assert done.error() < 1e-5


def test_a_gate_that_is_read_elsewhere_is_declined() -> None:
    done = rewritten(CLIPPED, Injection(read_twice=True), (1, 6, 3, 3), (1, 6, 12, 12))
    assert done.fired == 0
    assert "does not end in one product" in done.declined[0].reason


def test_a_hard_sigmoid_of_something_else_is_declined() -> None:
    done = rewritten(CLIPPED, Calls(lambda x: F.hardsigmoid(x) * torch.tanh(x)), MAP)
    assert "not a convolution of its own" in done.declined[0].reason
