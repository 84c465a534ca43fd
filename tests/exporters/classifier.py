"""A small classifier, and its export in one format without the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgedeploy.benchmarks.executors import RunOptions
from edgedeploy.benchmarks.executors.python_process import run_in_python
from edgedeploy.core.backends import BACKENDS, load_object
from edgedeploy.core.recipe import QuantRecipe
from edgedeploy.core.recipes import STATIC_INT8
from edgedeploy.exporters.job import Lowered, Sample
from edgedeploy.models.rewrites import capture

from .small_network import export_job

CLASSES = 300


class Classifier(nn.Module):
    def __init__(self, *, convolution: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(), nn.AvgPool2d(7))
        self.head = nn.Conv2d(16, CLASSES, 1) if convolution else nn.Linear(16, CLASSES)
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        return self.head(y).flatten(1) if self.convolution else self.head(y.flatten(1))


def image(contrast: float, seed: int = 0) -> np.ndarray:
    return (contrast * np.random.default_rng(seed).standard_normal((1, 3, 16, 16))).astype(np.float32)


class Export:
    """A classifier in one format, calibrated on images with ten times the contrast of those that it meets."""

    def __init__(self, backend: str, folder: Path, *, convolution: bool) -> None:
        torch.manual_seed(0)
        self.example = torch.from_numpy(image(1.0))
        self.network = Classifier(convolution=convolution).eval()
        self.module = capture(self.network, (self.example,))
        self.backend, self.folder = BACKENDS[backend], folder
        self.calibration = [image(1.0, 1), image(10.0, 2)]
        self.expected_outputs: Callable[[int], Sequence[Sample]] | None = None

    def lower(self, recipe: QuantRecipe = STATIC_INT8, *, integer_io: bool = False) -> Lowered:
        images = [torch.from_numpy(x) for x in self.calibration]
        path = self.folder / self.backend.file
        job = export_job(self.module, self.example, path, recipe, images, integer_io=integer_io)
        lowered: Lowered = load_object(self.backend.exporter)(replace(job, expected_outputs=self.expected_outputs))
        return lowered

    def run(self, x: np.ndarray) -> np.ndarray:
        path = self.folder / self.backend.file
        found = run_in_python(self.backend.runtime, path, [[x]], RunOptions(warmup_runs=0, num_runs=0))
        return found.outputs[0][0]
