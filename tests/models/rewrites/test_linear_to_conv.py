from __future__ import annotations

from torch import Tensor, nn

from edgedeploy.models.rewrites.linear_to_conv import EVERYWHERE as REWRITE
from edgedeploy.models.rewrites.linear_to_conv import ON_MAPS

from .tools import rewritten


class OnTokens(nn.Module):
    """A linear layer on the flattened map, as in vision transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.flatten(2).transpose(1, 2))


class OnChannelsLast(OnTokens):
    """A linear layer on a map with channels last, as in ConvNeXt."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.permute(0, 2, 3, 1))


def test_a_classifier_on_a_vector_becomes_a_convolution() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.Linear(6, 10)), (3, 6))
    assert (done.applied, done.count("linear"), done.count("conv2d")) == (1, 0, 1)
    assert done.error() < 1e-5


def test_on_maps_alone_a_vector_keeps_its_matrix_product() -> None:
    done = rewritten(ON_MAPS, nn.Sequential(nn.Linear(6, 10)), (3, 6))
    assert done.applied == 0
    assert "is a vector" in done.declined[0].reason
    assert rewritten(ON_MAPS, OnTokens(), (2, 6, 5, 7)).applied == 1


def test_on_tokens_it_convolves_the_map_itself() -> None:
    done = rewritten(REWRITE, OnTokens(), (2, 6, 5, 7))
    assert (done.applied, done.count("conv2d")) == (1, 1)
    assert done.error() < 1e-5


def test_on_channels_last_the_permute_moves_behind_the_layer() -> None:
    done = rewritten(REWRITE, OnChannelsLast(), (2, 6, 5, 7))
    assert (done.applied, done.count("conv2d"), done.count("permute")) == (1, 1, 1)
    assert done.error() < 1e-5


def test_a_layer_without_bias_keeps_none() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.Linear(6, 10, bias=False)), (3, 6))
    assert done.applied == 1
    assert done.error() < 1e-5


def test_on_tokens_that_are_no_map_it_declines() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.Linear(6, 10)), (2, 9, 6))
    assert done.applied == 0
    assert "not the permute of a map" in done.declined[0].reason
