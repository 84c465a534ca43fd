"""Logits of static int8 files are float: the layer that gives them is int8, its result is not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgedeploy.core.recipe import NumberFormat, Scope
from edgedeploy.core.recipe import RecipeRule as Rule
from edgedeploy.core.recipes import STATIC_INT8
from edgedeploy.models.rewrites import capture
from tests.exporters.classifier import CLASSES, Export, image


class HiddenLayer(nn.Module):
    """A classifier of two layers with a ReLU between them, as MobileNetV4's: the ReLU is part of the first layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(), nn.AvgPool2d(7))
        self.hidden, self.head = nn.Conv2d(16, 32, 1), nn.Linear(32, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(self.stem(x)).relu().flatten(1))


STEM_IN_FLOAT = STATIC_INT8.with_rules(Rule(NumberFormat.FLOAT32, Scope(module="stem")))


def sqnr_db(exact: np.ndarray, found: np.ndarray) -> float:
    return float(10 * np.log10(np.square(exact).mean() / np.square(found - exact).mean()))


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
    assert sqnr_db(exact, found) > 20
    assert [spec.dtype for spec in lowered.outputs] == ["float32"]
    layers = [op for op in lowered.operators if op.macs]
    assert all(op.delegated is not False for op in layers)


def test_an_image_of_less_contrast_than_the_calibrations_has_logits_of_eight_bits(export: Export) -> None:
    export.lower(STEM_IN_FLOAT)
    x = image(0.5, 3)
    assert sqnr_db(export.module(torch.from_numpy(x)).detach().numpy(), export.run(x)) > 35


@torch.no_grad()
def test_what_calibration_has_not_seen_is_clipped(export: Export) -> None:
    export.lower(STEM_IN_FLOAT)
    stem, head = export.network.stem, export.network.head
    largest = max(stem(torch.from_numpy(x)).max() for x in export.calibration)
    x = image(100.0, 3)
    clipped = stem(torch.from_numpy(x)).clamp(max=largest)
    expected = head(clipped if export.network.convolution else clipped.flatten(1)).reshape(1, -1)
    assert sqnr_db(expected.numpy(), export.run(x)) > 35
    assert sqnr_db(export.network(torch.from_numpy(x)).numpy(), expected.numpy()) < 10


def test_a_layer_before_the_logits_stays_int8_with_its_activation(backend: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    export = Export(backend, tmp_path, convolution=False)
    export.module = capture(HiddenLayer().eval(), (export.example,))
    layers = [op for op in export.lower().operators if op.macs]
    x = image(10.0, 3)
    found, exact = export.run(x), export.module(torch.from_numpy(x)).detach().numpy()
    assert sqnr_db(exact, found) > 25
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
