"""The layer that gives float logits takes what they are off by on all images alike."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from edgedeploy.core.recipe import NumberFormat, QuantRecipe, RecipeRule, Scope
from edgedeploy.core.recipes import STATIC_INT8
from tests.exporters.classifier import CLASSES, Export, image

SHIFT = np.random.default_rng(0).standard_normal((1, CLASSES)).astype(np.float32)

GAIN = 1.25
HEAD_IN_FLOAT = RecipeRule(NumberFormat.FLOAT32, Scope(module="head"))

UNCORRECTED = (
    dataclasses.replace(STATIC_INT8, correct_outputs=False),
    dataclasses.replace(STATIC_INT8, float_outputs=False),
)


@pytest.fixture(params=["onnx", "executorch", "tflite"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def export(backend: str, tmp_path: Path) -> Export:
    return Export(backend, tmp_path, convolution=False)


def shifted(export: Export, x: np.ndarray) -> np.ndarray:
    """How far the file's outputs are from the network's."""
    return export.run(x) - export.module(torch.from_numpy(x)).detach().numpy()


def lowered_with_shift(export: Export, recipe: QuantRecipe = STATIC_INT8) -> None:
    """Exports as if the float network gave SHIFT more for each of the calibration's images."""
    images = [image(1.0, 1), image(10.0, 2)]
    outputs = [(export.module(torch.from_numpy(x)).detach().numpy() + SHIFT,) for x in images]
    export.expected_outputs = lambda count: outputs[:count]
    export.lower(recipe)


@pytest.mark.parametrize("convolution", [False, True], ids=["linear", "convolution"])
def test_the_bias_takes_what_the_outputs_lack(backend: str, tmp_path: Path, convolution: bool) -> None:
    export = Export(backend, tmp_path, convolution=convolution)
    lowered_with_shift(export)
    found = shifted(export, image(1.0, 3))
    assert np.square(found - SHIFT).mean() < 0.01 * np.square(SHIFT).mean()


@pytest.mark.parametrize("rule", [None, HEAD_IN_FLOAT], ids=["int8", "float"])
@pytest.mark.parametrize("convolution", [False, True], ids=["linear", "convolution"])
def test_weights_and_bias_take_a_gain(backend: str, tmp_path: Path, convolution: bool, rule: RecipeRule | None) -> None:
    export = Export(backend, tmp_path, convolution=convolution)
    export.calibration = [image(1.0, seed) for seed in range(16)]
    outputs = [(GAIN * export.module(torch.from_numpy(x)).detach().numpy(),) for x in export.calibration]
    export.expected_outputs = lambda count: outputs[:count]
    export.lower(STATIC_INT8 if rule is None else STATIC_INT8.with_rules(rule))
    x = image(1.0, 20)
    expected = GAIN * export.module(torch.from_numpy(x)).detach().numpy()
    assert np.square(export.run(x) - expected).mean() < 1e-3 * np.square(expected).mean(), "0.04 without"


@pytest.mark.parametrize("recipe", UNCORRECTED, ids=["not asked for", "int8 outputs"])
def test_without_the_recipe_or_float_outputs_it_stays(recipe: QuantRecipe, export: Export) -> None:
    lowered_with_shift(export, recipe)
    assert np.square(shifted(export, image(1.0, 3))).mean() < 0.01 * np.square(SHIFT).mean()


def test_a_layer_in_float_is_corrected_too(export: Export) -> None:
    lowered_with_shift(export, STATIC_INT8.with_rules(HEAD_IN_FLOAT))
    found = shifted(export, image(1.0, 3))
    assert np.square(found - SHIFT).mean() < 0.01 * np.square(SHIFT).mean()
