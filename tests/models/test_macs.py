"""The counter of multiply-accumulates against counts by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.models.macs import count_macs
from edgedeploy.models.rewrites import capture


class Attention(nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v)


class Einsum(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.einsum("bij,bjk->bik", a, b)


class ClassToken(nn.Module):
    """A module that reads a view of a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.layer = nn.Parameter(torch.zeros(1, 1, 5)), nn.Linear(5, 7)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.token.expand(len(x), -1, -1))


class Shared(nn.Module):
    """One layer that two blocks have, as position encodings are shared in CoaT."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 5)
        self.blocks = nn.ModuleList(nn.Sequential(self.layer, nn.ReLU()) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks[1](self.blocks[0](x))


def test_counting_leaves_a_network_with_shared_layers_as_it_was() -> None:
    network, x = Shared(), torch.zeros(3, 5)
    weight = network.layer.weight
    assert count_macs(network, (x,)) == 2 * 3 * 5 * 5
    assert network.layer.weight is weight
    assert weight.requires_grad
    capture(network.eval(), (x,))


def test_a_module_may_read_a_view_of_a_parameter() -> None:
    assert count_macs(ClassToken(), (torch.zeros(3, 5),)) == 3 * 5 * 7


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_counts_are_those_made_by_hand(device: str) -> None:
    with torch.device(device):
        assert count_macs(nn.Linear(5, 7), (torch.zeros(3, 5),)) == 3 * 5 * 7
        assert count_macs(nn.Conv2d(4, 6, 3, padding=1), (torch.zeros(1, 4, 8, 9),)) == 8 * 9 * 6 * 4 * 9
        assert count_macs(nn.Conv2d(4, 4, 3, groups=4), (torch.zeros(2, 4, 8, 9),)) == 2 * 6 * 7 * 4 * 9
        assert count_macs(Einsum(), (torch.zeros(2, 3, 4), torch.zeros(2, 4, 5))) == 2 * 3 * 4 * 5
        q, k = torch.zeros(1, 2, 10, 16), torch.zeros(1, 2, 30, 16)
        assert count_macs(Attention(), (q, k, k)) == 2 * 2 * 10 * 30 * 16


def test_norms_activations_and_pooling_cost_nothing() -> None:
    network = nn.Sequential(
        nn.BatchNorm2d(3), nn.GELU(), nn.AvgPool2d(2), nn.Softmax(dim=1), nn.Upsample(scale_factor=2)
    )
    assert count_macs(network.eval(), (torch.zeros(1, 3, 8, 8),)) == 0
