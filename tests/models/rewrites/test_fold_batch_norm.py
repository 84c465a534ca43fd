from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.fold_batch_norm import REWRITE

from .tools import rewritten

MAP = (2, 6, 9, 11)


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        pytest.param([nn.Conv2d(6, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)], MAP, id="conv_bn"),
        pytest.param([nn.Conv2d(6, 8, 3, stride=2), nn.BatchNorm2d(8)], MAP, id="conv_with_bias_bn"),
        pytest.param([nn.Conv2d(6, 12, 3, groups=3), nn.BatchNorm2d(12)], MAP, id="grouped_conv_bn"),
        pytest.param(
            [nn.Conv2d(6, 6, 3, groups=6), nn.BatchNorm2d(6, affine=False)], MAP, id="depthwise_bn_without_affine"
        ),
        pytest.param([nn.BatchNorm2d(6), nn.Conv2d(6, 8, 1)], MAP, id="bn_conv1x1"),
        pytest.param(
            [nn.BatchNorm2d(6), nn.Conv2d(6, 12, 3, groups=3, bias=False)], MAP, id="bn_grouped_conv_unpadded"
        ),
        pytest.param([nn.BatchNorm1d(6), nn.Linear(6, 5)], (4, 6), id="bn_linear"),
        pytest.param([nn.Linear(6, 5), nn.BatchNorm1d(5)], (4, 6), id="linear_bn"),
    ],
)
def test_a_norm_beside_a_layer_folds_into_it(layers: list[nn.Module], shape: tuple[int, ...]) -> None:
    done = rewritten(REWRITE, nn.Sequential(*layers), shape)
    assert (done.applied, done.count("batch_norm")) == (1, 0)
    assert done.error() < 1e-5


def test_a_norm_between_two_layers_folds_into_the_one_before() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.Conv2d(6, 8, 1), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 3, padding=1)), MAP)
    assert done.applied == 1
    assert done.error() < 1e-5


def declines(module: nn.Module, shape: tuple[int, ...] = MAP) -> str:
    done = rewritten(REWRITE, module, shape)
    assert done.applied == 0
    assert done.count("batch_norm") == 1
    return done.declined[0].reason


def test_before_a_padded_convolution_it_declines() -> None:
    reason = declines(nn.Sequential(nn.BatchNorm2d(6), nn.Conv2d(6, 8, 3, padding=1)))
    assert "pads with zeros" in reason


def test_after_a_layer_that_is_read_twice_it_declines() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return y + self.norm(y)

    assert "also read elsewhere" in declines(Twice())


def test_without_running_statistics_it_declines() -> None:
    # such a norm takes the batch's own statistics in eval mode too
    done = rewritten(REWRITE, nn.Sequential(nn.Conv2d(6, 8, 1), nn.InstanceNorm2d(8)), MAP)
    assert done.applied == 0


def test_a_norm_between_activations_is_declined_with_the_name_of_what_follows() -> None:
    assert "not a convolution or linear layer" in declines(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(6), nn.ReLU()))


def test_a_declined_operator_is_named_by_its_module_path() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stage = nn.ModuleDict({"norm": nn.BatchNorm2d(6)})

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.stage["norm"](x))

    (declined,) = rewritten(REWRITE, Named(), MAP).declined
    assert declined.module == "stage.norm"
    assert declined.operator == "aten.batch_norm"
