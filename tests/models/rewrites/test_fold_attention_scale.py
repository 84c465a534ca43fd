from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.fold_attention_scale import REWRITE

from .tools import rewritten


class Attention(nn.Module):
    """The logits of attention, with the factor on q or on the product."""

    def __init__(self, *, on_product: bool = False, q_is_read_twice: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.q, self.k = nn.Linear(8, 8, bias=bias), nn.Linear(8, 8)
        self.on_product, self.twice = on_product, q_is_read_twice

    def forward(self, x: Tensor) -> Tensor:
        q, k = (layer(x).reshape(2, 5, 2, 4).transpose(1, 2) for layer in (self.q, self.k))
        logits = q @ k.transpose(-2, -1) * 0.5 if self.on_product else (q * 0.5) @ k.transpose(-2, -1)
        return logits + q.sum(-1, keepdim=True) if self.twice else logits


class Divided(nn.Module):
    """A 1x1 convolution and a division by a number."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).flatten(2) / 4


class OfNothing(nn.Module):
    """A factor on a value that no layer made."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x).transpose(0, 1) * 0.5


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("on_product", [True, False], ids=["on_product", "on_query"])
def test_the_factor_goes_into_the_query_projection(on_product: bool, bias: bool) -> None:
    done = rewritten(REWRITE, Attention(on_product=on_product, bias=bias), (2, 5, 8))
    assert (done.applied, done.count("mul")) == (1, 0)
    assert done.error() < 1e-5


def test_a_division_is_a_factor_too() -> None:
    done = rewritten(REWRITE, Divided(), (2, 3, 4, 4))
    assert (done.applied, done.count("div")) == (1, 0)
    assert done.error() < 1e-5


def test_a_query_that_is_read_elsewhere_is_declined() -> None:
    done = rewritten(REWRITE, Attention(q_is_read_twice=True), (2, 5, 8))
    assert done.applied == 0
    assert "read elsewhere" in done.declined[0].reason


def test_a_value_without_a_layer_is_declined() -> None:
    done = rewritten(REWRITE, OfNothing(), (3, 4))
    assert done.applied == 0
    assert "no weights" in done.declined[0].reason
