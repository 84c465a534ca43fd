"""Equalized channels and corrected biases, on networks of a few layers."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.core.recipe import Preparation
from edgedeploy.core.recipes import FP32, STATIC_INT8
from edgedeploy.models.preparation import prepared_for
from edgedeploy.models.preparation.equalize_channels import equalize_channels
from edgedeploy.models.rewrites import capture

SHAPE = (1, 4, 8, 8)
EQUALIZED = dataclasses.replace(STATIC_INT8, prepare=(Preparation.EQUALIZE_CHANNELS,), min_layer_sqnr_db=None)
CORRECTED = dataclasses.replace(STATIC_INT8, prepare=(Preparation.CORRECT_BIAS,), min_layer_sqnr_db=None)


class Permuted(nn.Module):
    """A LayerNorm over channels, read by two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(4, 6, 1), nn.LayerNorm(6)
        self.a, self.b = nn.Conv2d(6, 4, 1), nn.Conv2d(6, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.first(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.a(y).mean((2, 3)) + self.b(y).mean((2, 3))


def with_a_wild_channel(net: nn.Module, layer: str, reader: str) -> nn.Module:
    """A channel scaled by 1000 and back: the network computes the same."""
    first: Any = net.get_submodule(layer)
    second: Any = net.get_submodule(reader)
    with torch.no_grad():
        first.weight[1] *= 1000
        first.bias[1] *= 1000
        if second.weight.shape[1] == 1:
            second.weight[1] /= 1000
        else:
            second.weight[:, 1] /= 1000
    return net


def networks() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 5, 3, padding=1))
    depthwise = nn.Sequential(
        nn.Conv2d(4, 6, 1), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=6), nn.ReLU(), nn.Conv2d(6, 4, 1)
    )
    linear = nn.Sequential(nn.Flatten(), nn.Linear(256, 6), nn.ReLU(), nn.Linear(6, 5))
    return {
        "plain": with_a_wild_channel(plain, "0", "3"),
        "depthwise": with_a_wild_channel(depthwise, "0", "2"),
        "linear": with_a_wild_channel(linear, "1", "3"),
        "norm": Permuted(),
    }


def samples(count: int = 3) -> list[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(SHAPE, generator=generator),) for _ in range(count)]


def spread(module: nn.Module, layers: tuple[object, ...]) -> float:
    """The largest ratio of two channels' largest values, over the outputs of all layers but the last."""
    ratios = []

    class Watcher(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> object:
            result = super().run_node(n)
            if n.target in layers:
                axis = result.ndim - 1 if n.target == torch.ops.aten.linear.default else 1
                largest = result.abs().movedim(axis, 0).flatten(1).amax(1)
                ratios.append(float(largest.detach().max() / largest.detach().min()))
            return result

    Watcher(module).run(*samples()[0])
    return max(ratios[:-1])


@pytest.mark.parametrize("name", networks())
def test_equalized_networks_compute_the_same(name: str) -> None:
    module = capture(networks()[name].eval(), samples()[0])
    equalized = prepared_for(EQUALIZED, module, samples()).module
    assert equalized is not module
    torch.testing.assert_close(equalized(*samples()[0]), module(*samples()[0]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["plain", "depthwise", "linear"])
def test_a_wild_channel_is_tamed(name: str) -> None:
    layers = (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default)
    module = capture(networks()[name].eval(), samples()[0])
    assert spread(module, layers) > 100
    assert spread(equalize_channels(module, samples()), layers) < 50


def test_what_is_not_homogeneous_is_left_alone() -> None:
    net = nn.Sequential(nn.Conv2d(4, 6, 1), nn.Hardswish(), nn.Conv2d(6, 4, 1)).eval()
    module = capture(net, samples()[0])
    assert prepared_for(EQUALIZED, module, samples()).module is module


def test_a_recipe_that_asks_for_nothing_changes_nothing() -> None:
    module = capture(networks()["plain"].eval(), samples()[0])
    recipe = dataclasses.replace(STATIC_INT8, prepare=(), min_layer_sqnr_db=None)
    assert prepared_for(recipe, module, samples()).module is module


def test_corrected_biases_restore_the_mean_that_rounding_moved() -> None:
    """One weight is far larger than the others, so that those are all rounded to zero; the inputs' mean is not 0."""
    net = nn.Conv2d(4, 2, 1, bias=False)
    with torch.no_grad():
        net.weight[:] = torch.tensor([[100.0, 0.3, 0.3, 0.3], [1.0, 1.0, 1.0, 1.0]])[:, :, None, None]
    inputs = [((torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed)) - 0.02).relu(),) for seed in range(8)]
    module = capture(net.eval(), inputs[0])
    corrected = prepared_for(CORRECTED, module, inputs).module
    added = (corrected(*inputs[0]) - module(*inputs[0])).mean((0, 2, 3))
    assert 0.35 < float(added[0]) < 0.55  # three inputs of mean 0.5, each times 0.3
    assert abs(float(added[1])) < 0.02


@pytest.mark.parametrize("smallest", [-0.1, 0.1])
def test_layers_that_read_no_relu_are_not_corrected(smallest: float) -> None:
    module = capture(nn.Conv2d(4, 2, 1).eval(), (torch.rand(SHAPE),))
    inputs = [(torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed)) + smallest,) for seed in range(8)]
    assert torch.equal(prepared_for(CORRECTED, module, inputs).module(*inputs[0]), module(*inputs[0]))


def test_layers_that_stay_in_float_are_not_corrected() -> None:
    module = capture(networks()["plain"].eval(), samples()[0])
    in_float = dataclasses.replace(FP32, prepare=(Preparation.CORRECT_BIAS,), min_layer_sqnr_db=None)
    assert prepared_for(in_float, module, samples()).module is module


@pytest.mark.parametrize(("side", "read"), [(8, 32), (400, 13), (2000, 8)])
def test_large_inputs_are_read_less_often(side: int, read: int) -> None:
    class Samples(list[tuple[Tensor, ...]]):
        def __getitem__(self, index: Any) -> Any:
            self.asked = index
            return super().__getitem__(index)

    module = capture(nn.ReLU().eval(), samples()[0])
    many = Samples([(torch.empty(1, 3, side, side, device="meta"),)] * 40)
    prepared_for(dataclasses.replace(STATIC_INT8, prepare=(), min_layer_sqnr_db=None), module, many)
    assert many.asked == slice(None, read)
