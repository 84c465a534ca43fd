from __future__ import annotations

import pytest
import torch
from torch import nn

from edgedeploy.models.rewrites.layer_norm_to_products import PARTIAL_SUMS, REWRITE

from .tools import rewritten


def norm(shape: int | list[int], *, affine: bool) -> nn.Module:
    module = nn.LayerNorm(shape, elementwise_affine=affine)
    if affine:
        torch.nn.init.uniform_(module.weight, 0.5, 1.5)
        torch.nn.init.normal_(module.bias)
    return nn.Sequential(module)


@pytest.mark.parametrize(("affine", "operators"), [(True, 2), (False, 1)])
@pytest.mark.parametrize("shape", [(2, 5, 12), (2, 3, 5, 12), (7, 12)])
def test_a_norm_over_the_last_dimension_becomes_products(shape: tuple[int, ...], affine: bool, operators: int) -> None:
    done = rewritten(REWRITE, norm(12, affine=affine), shape)
    assert (done.applied, done.count("layer_norm"), done.count("linear"), done.count("add")) == (1, 0, 2, operators)
    assert done.error() < 1e-5


@pytest.mark.parametrize("channels", [5, 12, 64, 100])
def test_a_norm_by_partial_sums_is_the_same(channels: int) -> None:
    done = rewritten(PARTIAL_SUMS, norm(channels, affine=True), (2, 5, channels))
    assert (done.applied, done.count("layer_norm"), done.count("linear")) == (1, 0, 4)
    assert done.error() < 1e-5


def test_a_gain_of_one_and_a_bias_of_zero_cost_nothing() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.LayerNorm(12)), (2, 5, 12))
    assert (done.count("mul"), done.count("add")) == (2, 1)


def test_a_norm_over_two_dimensions_declines() -> None:
    done = rewritten(REWRITE, norm([5, 12], affine=True), (2, 5, 12))
    assert done.applied == 0
    assert "more than one dimension" in done.declined[0].reason
