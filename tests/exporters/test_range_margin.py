"""The margin of a recipe's ranges, in every format."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edgedeploy.core.recipe import Observer
from edgedeploy.core.recipes import STATIC_INT8
from tests.exporters.classifier import Export


@pytest.mark.parametrize("observer", [Observer.MIN_MAX, Observer.MSE_PERCENTILE])
@pytest.mark.parametrize("backend", ["onnx", "executorch", "tflite"])
def test_a_margin_makes_steps_larger(backend: str, observer: Observer, tmp_path: Path) -> None:
    export = Export(backend, tmp_path, convolution=False)
    recipe = STATIC_INT8.observing(observer)
    plain, wide = (
        export.lower(dataclasses.replace(recipe, range_margin=margin), integer_io=True).inputs[0].scale
        for margin in (0.0, 0.5)
    )
    assert plain is not None
    assert wide is not None
    assert wide / plain == pytest.approx(1.5, rel=1e-4)
