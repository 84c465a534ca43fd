"""verify --layers names the layer of a fault that was planted into a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy.core.recipe import QuantRecipe
from edgedeploy.core.recipes import FP32, STATIC_INT8
from edgedeploy.pipeline.layers.analysis import Analysis, analyse
from edgedeploy.pipeline.layers.formats import open_steps
from edgedeploy.pipeline.layers.reference import Reference, of_network

from .plants import File, Files, Plant, plants

FILES = [(backend, recipe) for backend in ("tflite", "onnx") for recipe in (FP32, STATIC_INT8)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def reference(files: Files) -> Reference:
    return of_network(files.module, [files.image])


def analysed(file: File, content: bytes, reference: Reference, folder: Path) -> Analysis:
    path = folder / "file"
    path.write_bytes(content)
    modules = [(fact.name, fact.module) for fact in file.operators]
    return analyse(open_steps(file.runtime, path, modules), reference, [False])


@pytest.mark.parametrize(("backend", "recipe"), FILES, ids=str)
def test_a_file_without_a_fault_parts_nowhere(
    backend: str, recipe: QuantRecipe, files: Files, reference: Reference, tmp_path: Path
) -> None:
    file = files.get(backend, recipe)
    found = analysed(file, file.content, reference, tmp_path)
    assert [layer.where for layer in found.layers if layer.parts] == []
    layers = {layer.module for layer in found.layers if layer.type in ("CONV_2D", "DEPTHWISE_CONV_2D", "Conv")}
    assert layers == {"stem", "block.first", "block.second", "head"}


@pytest.mark.parametrize("plant", plants(), ids=str)
def test_the_first_layer_that_parts_is_the_one_with_the_fault(
    plant: Plant, files: Files, reference: Reference, tmp_path: Path
) -> None:
    file = files.get(plant.backend, plant.recipe)
    found = analysed(file, plant.change(file, plant.module), reference, tmp_path)
    first = next(layer for layer in found.layers if layer.parts)
    assert first.module == plant.module
    assert {layer.module for layer in found.layers if layer.parts} == {plant.module}


def test_twenty_faults_are_planted() -> None:
    assert len(plants()) == 20
