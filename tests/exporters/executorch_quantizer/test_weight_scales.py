"""Scales of very small weights in ExecuTorch's int8 files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
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


def of_the_file(factor: float, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The outputs of the float network and of its int8 file."""
    from executorch.runtime import Runtime

    torch.manual_seed(0)
    network, x = LargeInside(factor).eval(), torch.randn(1, 4, 16, 16)
    job = export_job(capture(network, (x,)), x, folder / "model.pte", STATIC_INT8, [x])
    to_executorch(job)
    (output,) = Runtime.get().load_program(job.path).load_method("forward").execute([x])
    with torch.no_grad():
        return network(x).numpy(), output.numpy()


def test_weights_far_below_the_quantizers_smallest_scale_stay_exact(tmp_path: Path) -> None:
    reference, output = of_the_file(1e6, tmp_path)
    signal, noise = reference[:, :2], output[:, :2] - reference[:, :2]
    assert np.square(noise).mean() < 1e-3 * np.square(signal).mean()


def test_a_channel_without_weights_keeps_its_bias(tmp_path: Path) -> None:
    reference, output = of_the_file(1.0, tmp_path)
    assert np.abs(output[:, 2] - reference[:, 2]).max() < 0.05
