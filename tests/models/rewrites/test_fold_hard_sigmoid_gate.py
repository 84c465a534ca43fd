from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.models.rewrites.fold_hard_sigmoid_gate import REWRITE

from .tools import rewritten


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


def test_a_hard_sigmoid_gate_goes_into_its_neighbours() -> None:
    done = rewritten(REWRITE, Injection(), (1, 6, 3, 3), (1, 6, 12, 12))
    assert (done.applied, done.count("hardsigmoid"), done.count("relu6")) == (1, 0, 1)
    assert done.count("div") == done.count("add") == 0
    assert done.error() < 1e-5


def test_a_gate_that_is_read_elsewhere_is_declined() -> None:
    done = rewritten(REWRITE, Injection(read_twice=True), (1, 6, 3, 3), (1, 6, 12, 12))
    assert done.applied == 0
    assert "does not end in one product" in done.declined[0].reason


class GateOfTheInput(nn.Module):
    """A hard-sigmoid that follows no convolution."""

    def forward(self, x: Tensor) -> Tensor:
        return F.hardsigmoid(4 * x) * torch.tanh(4 * x)


def test_a_hard_sigmoid_of_something_else_is_declined() -> None:
    done = rewritten(REWRITE, GateOfTheInput(), (2, 6, 5, 7))
    assert "not a convolution of its own" in done.declined[0].reason
