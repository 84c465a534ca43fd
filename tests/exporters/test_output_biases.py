"""The bias of the layer that gives float logits takes what they lack of the float network's on average."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgedeploy.core.recipe import NumberFormat, QuantRecipe, RecipeRule, Scope
from edgedeploy.core.recipes import STATIC_INT8
from edgedeploy.exporters.job import Sample
from tests.exporters.classifier import CLASSES, Export, image

SHIFT = np.random.default_rng(0).standard_normal((1, CLASSES)).astype(np.float32)

UNCORRECTED = (
    dataclasses.replace(STATIC_INT8, correct_outputs=False),
    dataclasses.replace(STATIC_INT8, float_outputs=False),
)


@pytest.fixture(params=["onnx", "executorch", "tflite"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["convolution", "linear"])
def export(request: pytest.FixtureRequest, backend: str, tmp_path: Path) -> Export:
    return Export(backend, tmp_path, convolution=request.param == "convolution")


def every_output_is(output: np.ndarray) -> Callable[[int], list[Sample]]:
    return lambda count: [(output,)] * count


def shifted(export: Export, x: np.ndarray) -> np.ndarray:
    """How far the file's outputs are from the network's."""
    return export.run(x) - export.module(torch.from_numpy(x)).detach().numpy()


def lowered_with_shift(export: Export, recipe: QuantRecipe = STATIC_INT8) -> None:
    """Exports as if the float network gave SHIFT more for each of the calibration's images."""
    images = [image(1.0, 1), image(10.0, 2)]
    outputs = [(export.module(torch.from_numpy(x)).detach().numpy() + SHIFT,) for x in images]
    export.expected_outputs = lambda count: outputs[:count]
    export.lower(recipe)


def test_the_bias_takes_what_the_outputs_lack(export: Export) -> None:
    lowered_with_shift(export)
    found = shifted(export, image(1.0, 3))
    assert np.square(found - SHIFT).mean() < 0.01 * np.square(SHIFT).mean()


@pytest.mark.parametrize("recipe", UNCORRECTED, ids=["not asked for", "int8 outputs"])
def test_without_the_recipe_or_float_outputs_it_stays(recipe: QuantRecipe, export: Export) -> None:
    lowered_with_shift(export, recipe)
    assert np.square(shifted(export, image(1.0, 3))).mean() < 0.01 * np.square(SHIFT).mean()


def test_a_layer_in_float_is_corrected_too(export: Export) -> None:
    lowered_with_shift(export, STATIC_INT8.with_rules(RecipeRule(NumberFormat.FLOAT32, Scope(module="head"))))
    found = shifted(export, image(1.0, 3))
    assert np.square(found - SHIFT).mean() < 0.01 * np.square(SHIFT).mean()


@pytest.mark.parametrize("output", [SHIFT[:, :-1], SHIFT[0], np.full_like(SHIFT, np.nan)], ids=["fewer", "flat", "nan"])
def test_outputs_that_cannot_be_compared_correct_nothing(output: np.ndarray, backend: str, tmp_path: Path) -> None:
    export = Export(backend, tmp_path, convolution=False)
    export.expected_outputs = every_output_is(output)
    export.lower()
    assert np.square(shifted(export, image(1.0, 3))).mean() < 0.01 * np.square(SHIFT).mean()
