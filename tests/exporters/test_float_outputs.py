"""Logits of static int8 files are float: the layer that gives them is int8, its result is not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgedeploy.benchmarks.executors import RunOptions
from edgedeploy.benchmarks.executors.python_process import run_in_python
from edgedeploy.core.backends import BACKENDS, load_object
from edgedeploy.core.recipe import NumberFormat, QuantRecipe, Scope
from edgedeploy.core.recipe import RecipeRule as Rule
from edgedeploy.core.recipes import STATIC_INT8
from edgedeploy.exporters.job import Lowered
from edgedeploy.models.rewrites import capture
from tests.exporters.small_network import export_job

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


class HiddenLayer(nn.Module):
    """A classifier of two layers with a ReLU between them, as MobileNetV4's: the ReLU is part of the first layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(), nn.AvgPool2d(7))
        self.hidden, self.head = nn.Conv2d(16, 32, 1), nn.Linear(32, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(self.stem(x)).relu().flatten(1))


def image(contrast: float, seed: int = 0) -> np.ndarray:
    return (contrast * np.random.default_rng(seed).standard_normal((1, 3, 16, 16))).astype(np.float32)


class Export:
    """A classifier in one format, calibrated on images with ten times the contrast of those that it meets."""

    def __init__(self, backend: str, folder: Path, *, convolution: bool) -> None:
        torch.manual_seed(0)
        self.example = torch.from_numpy(image(1.0))
        self.module = capture(Classifier(convolution=convolution).eval(), (self.example,))
        self.backend, self.folder = BACKENDS[backend], folder

    def lower(self, recipe: QuantRecipe = STATIC_INT8, *, integer_io: bool = False) -> Lowered:
        images = [torch.from_numpy(image(1.0, 1)), torch.from_numpy(image(10.0, 2))]
        path = self.folder / self.backend.file
        job = export_job(self.module, self.example, path, recipe, images, integer_io=integer_io)
        lowered: Lowered = load_object(self.backend.exporter)(job)
        return lowered

    def run(self, x: np.ndarray) -> np.ndarray:
        path = self.folder / self.backend.file
        found = run_in_python(self.backend.runtime, path, [[x]], RunOptions(warmup_runs=0, num_runs=0))
        return found.outputs[0][0]


@pytest.fixture(params=["onnx", "executorch", "tflite"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["convolution", "linear"])
def export(request: pytest.FixtureRequest, backend: str, tmp_path: Path) -> Export:
    return Export(backend, tmp_path, convolution=request.param == "convolution")


def test_small_logits_keep_their_differences(export: Export) -> None:
    lowered = export.lower()
    x = image(1.0, 3)
    found, exact = export.run(x), export.module(torch.from_numpy(x)).detach().numpy()
    assert found.dtype == np.float32
    assert len(np.unique(found)) > 0.9 * CLASSES, "in int8 these logits have some 20 values"
    assert 10 * np.log10(np.square(exact).mean() / np.square(found - exact).mean()) > 20
    assert [spec.dtype for spec in lowered.outputs] == ["float32"]
    layers = [op for op in lowered.operators if op.macs]
    assert all(op.delegated is not False for op in layers)


def test_a_layer_before_the_logits_stays_int8_with_its_activation(backend: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    export = Export(backend, tmp_path, convolution=False)
    export.module = capture(HiddenLayer().eval(), (export.example,))
    layers = [op for op in export.lower().operators if op.macs]
    x = image(10.0, 3)
    found, exact = export.run(x), export.module(torch.from_numpy(x)).detach().numpy()
    assert 10 * np.log10(np.square(exact).mean() / np.square(found - exact).mean()) > 25
    assert len(layers) == 3
    assert all(op.delegated is not False for op in layers)


def test_with_int8_outputs_they_are_int8(export: Export) -> None:
    assert [spec.dtype for spec in export.lower(integer_io=True).outputs] == ["int8"]


def test_a_layer_in_float_stays_in_float(export: Export) -> None:
    recipe = STATIC_INT8.with_rules(Rule(NumberFormat.FLOAT32, Scope(module="head")))
    export.lower(recipe)
    x = image(1.0, 3)
    assert len(np.unique(export.run(x))) > 0.9 * CLASSES


def test_without_float_outputs_logits_are_rounded(export: Export) -> None:
    export.lower(dataclasses.replace(STATIC_INT8, float_outputs=False))
    assert len(np.unique(export.run(image(1.0, 3)))) < 100
