"""Scales that ExecuTorch's quantizer or delegate would not take as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgedeploy.core.recipes import STATIC_INT8
from edgedeploy.exporters.to_executorch import to_executorch
from edgedeploy.models.rewrites import capture
from tests.exporters.small_network import export_job


class LargeInside(nn.Module):
    """Values of about `factor` between two layers; one channel of the second has no weights, only a bias."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 8, 1), nn.Conv2d(8, 4, 1)
        with torch.no_grad():
            self.first.weight.mul_(factor)
            self.second.weight.div_(factor)
            self.second.weight[2] = 0.0
            self.second.bias = nn.Parameter(torch.tensor([0.0, 0.0, 3.0, 0.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu())


class SmallStep(nn.Module):
    """A sum of the image and of values that are far smaller than its steps."""

    def __init__(self) -> None:
        super().__init__()
        self.small = nn.Conv2d(4, 4, 1)
        with torch.no_grad():
            self.small.weight.mul_(1e-6)
            self.small.bias = None

    def forward(self, x: Tensor) -> Tensor:
        return x + self.small(x)


class ZerosInside(nn.Module):
    """A layer whose results are all 0, though neither its large inputs nor its weights are."""

    def __init__(self) -> None:
        super().__init__()
        self.large = nn.Conv2d(4, 4, 1)
        self.zeros = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        with torch.no_grad():
            self.large.weight.mul_(1e5)
            self.zeros.weight[..., 1, 1] = 0.0

    def forward(self, x: Tensor) -> Tensor:
        y = self.large(x)
        return y + self.zeros(y)


def of_the_file(network: nn.Module, x: Tensor, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The outputs of the float network and of its int8 file."""
    from executorch.runtime import Runtime

    network = network.eval()
    job = export_job(capture(network, (x,)), x, folder / "model.pte", STATIC_INT8, [x])
    to_executorch(job)
    (output,) = Runtime.get().load_program(job.path).load_method("forward").execute([x])
    with torch.no_grad():
        return network(x).numpy(), output.numpy()


@pytest.fixture
def image() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(1, 4, 16, 16)


def test_weights_far_below_the_quantizers_smallest_scale_stay_exact(image: Tensor, tmp_path: Path) -> None:
    reference, output = of_the_file(LargeInside(1e6), image, tmp_path)
    signal, noise = reference[:, :2], output[:, :2] - reference[:, :2]
    assert np.square(noise).mean() < 1e-3 * np.square(signal).mean()


def test_a_channel_without_weights_keeps_its_bias(image: Tensor, tmp_path: Path) -> None:
    reference, output = of_the_file(LargeInside(1.0), image, tmp_path)
    assert np.abs(output[:, 2] - reference[:, 2]).max() < 0.05


@pytest.mark.parametrize("factor", [1e-6, 1e-9])
def test_values_far_below_the_quantizers_smallest_scale_stay_exact(
    factor: float, image: Tensor, tmp_path: Path
) -> None:
    network = LargeInside(factor)
    network.first.bias = None  # it is far larger than these values
    reference, output = of_the_file(network, image, tmp_path)
    assert np.square(output - reference).mean() < 1e-3 * np.square(reference).mean()


def test_a_sum_with_an_operand_far_below_its_steps_runs(image: Tensor, tmp_path: Path) -> None:
    reference, output = of_the_file(SmallStep(), image, tmp_path)
    assert np.square(output - reference).mean() < 1e-3 * np.square(reference).mean()


def test_a_layer_whose_results_are_all_0_runs(image: Tensor, tmp_path: Path) -> None:
    pixel = image[..., :1, :1].clone()  # a 3x3 kernel meets only padding but for its centre
    reference, output = of_the_file(ZerosInside(), pixel, tmp_path)
    assert np.abs(output - reference).max() < 0.02 * np.abs(reference).max()
