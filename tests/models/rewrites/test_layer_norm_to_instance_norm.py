from __future__ import annotations

import pytest
import torch
from torch import nn

from edgedeploy.models.rewrites.layer_norm_to_instance_norm import REWRITE

from .tools import rewritten

CHANNELS = 12


@pytest.mark.parametrize("shape", [(2, 5, CHANNELS), (1, 3, 5, CHANNELS), (7, CHANNELS)])
@pytest.mark.parametrize("affine", [True, False], ids=["neutral", "none"])
def test_a_norm_without_gain_and_bias_becomes_an_instance_norm(shape: tuple[int, ...], affine: bool) -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.LayerNorm(CHANNELS, elementwise_affine=affine)), shape)
    assert (done.applied, done.count("layer_norm"), done.count("instance_norm")) == (1, 0, 1)
    assert done.error() < 1e-5


def with_bias() -> nn.LayerNorm:
    norm = nn.LayerNorm(CHANNELS)
    nn.init.constant_(norm.bias, 0.5)
    return norm


@pytest.mark.parametrize(
    ("norm", "reason"),
    [(with_bias(), "no layer took up"), (nn.LayerNorm([5, CHANNELS]), "more than one dimension")],
)
def test_other_norms_are_declined(norm: nn.Module, reason: str) -> None:
    done = rewritten(REWRITE, nn.Sequential(norm), (2, 5, CHANNELS))
    assert done.applied == 0
    assert reason in done.declined[0].reason
    assert torch.equal(done.before(*done.inputs), done.after(*done.inputs))
