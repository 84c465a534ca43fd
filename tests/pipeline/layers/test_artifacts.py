"""verify --layers on artifacts: the network is made again, and only the user's word runs code. ONNX, which exports fast."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgedeploy import export
from edgedeploy.core.artifact import Artifact, write_manifest
from edgedeploy.core.errors import ArtifactInvalid, ParityFailed, UsageError
from edgedeploy.core.storage.files import sha256_of
from edgedeploy.pipeline.layers import compare_files, render_layers_page
from edgedeploy.pipeline.layers.artifacts import verify_layers
from edgedeploy.pipeline.layers.recreate import NetworkSource
from tests.reporters import NoteReporter

NETWORK = """
import torch
from torch import nn

def make(seed=0, factor=1.0):
    torch.manual_seed(seed)
    first, second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
    net = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Conv2d(8, 4, 1))
    with torch.no_grad():
        net[2].weight[3] *= factor
        net[2].bias[3] *= factor
        net[4].weight[:, 3] /= factor
    return net

def other():
    return make(seed=1)

def outlier():
    return make(factor=1000.0)
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "net.py"
    path.write_text(NETWORK)
    return path


@pytest.fixture(scope="module")
def exported(network: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    folder = tmp_path_factory.mktemp("artifacts")
    made = export(f"{network}:make", "onnx-fp32,onnx-int8", inputs=["1x3x16x16"], num_calib=8, output=folder)
    return {artifact.manifest.target: artifact for artifact in made}


def with_a_fault(artifact: Artifact, folder: Path) -> Artifact:
    """A copy in which the weights of the second convolution have another sign; its manifest fits it."""
    shutil.copytree(artifact.folder, folder)
    path = folder / artifact.manifest.file
    model = onnx.load(str(path))
    layer = [node for node in model.graph.node if node.op_type == "Conv"][1]
    name = next((node.input[0] for node in model.graph.node if layer.input[1] in node.output), layer.input[1])
    weight = next(found for found in model.graph.initializer if found.name == name)
    weight.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(weight), name))
    onnx.save(model, str(path))
    manifest = dataclasses.replace(artifact.manifest, sha256=sha256_of(path), size_bytes=path.stat().st_size)
    write_manifest(folder, manifest, artifact.operators())
    return Artifact.load(folder)


@pytest.mark.parametrize("target", ["onnx-fp32", "onnx-int8"])
def test_a_good_artifact_parts_nowhere_and_runs_as_its_operators_do(
    target: str, exported: dict[str, Artifact], network: Path
) -> None:
    report = verify_layers(exported[target].folder, source=NetworkSource(f"{network}:make"))
    assert report.first is None
    assert [layer.module for layer in report.layers if layer.type == "Conv"] == ["0", "2", "4"]
    assert report.whole_sqnr_db is None or report.whole_sqnr_db > 30
    assert report.note == ""


@pytest.mark.parametrize("target", ["onnx-fp32", "onnx-int8"])
def test_a_fault_is_named_and_its_consequences_are_inherited(
    target: str, exported: dict[str, Artifact], network: Path, tmp_path: Path
) -> None:
    damaged = with_a_fault(exported[target], tmp_path / "damaged")
    report = verify_layers(damaged.folder, source=NetworkSource(f"{network}:make"))
    assert report.first is not None
    assert report.first.module == "2"
    last = report.layers[-1]
    assert last.module == "4"
    assert not last.parts
    assert (last.inherited_sqnr_db or 0) < 10 < (last.own_sqnr_db or np.inf)


def test_code_that_only_a_manifest_names_is_not_run(exported: dict[str, Artifact]) -> None:
    with pytest.raises(UsageError, match="not loaded unasked") as caught:
        verify_layers(exported["onnx-int8"].folder)
    assert "--model" in str(caught.value)


def test_another_network_than_the_exported_one_is_refused(exported: dict[str, Artifact], network: Path) -> None:
    with pytest.raises(ArtifactInvalid, match="is not the one that"):
        verify_layers(exported["onnx-int8"].folder, source=NetworkSource(f"{network}:other"))


def test_two_files_are_compared_without_their_manifests(exported: dict[str, Artifact], tmp_path: Path) -> None:
    damaged = with_a_fault(exported["onnx-int8"], tmp_path / "damaged")
    files = [Path(shutil.copy(damaged.path, tmp_path / "int8.onnx"))]
    files.insert(0, Path(shutil.copy(exported["onnx-fp32"].path, tmp_path / "float.onnx")))
    report = compare_files(*files)
    assert report.first is not None
    assert report.first.name == [fact.name for fact in damaged.operators() if fact.type == "Conv"][1]
    assert report.note == "on a photograph, with ImageNet's mean and deviation"
    assert compare_files(files[0], exported["onnx-int8"].folder).first is None


def test_the_page_has_the_plot_and_every_operator_and_no_script(exported: dict[str, Artifact]) -> None:
    report = compare_files(exported["onnx-fp32"].folder, exported["onnx-int8"].folder)
    page = render_layers_page(report)
    assert page.count("<tr") == 1 + len(report.layers)
    assert "<svg" in page
    assert "<script" not in page


def test_what_cannot_be_compared_is_refused_in_words(exported: dict[str, Artifact], tmp_path: Path) -> None:
    other = tmp_path / "model.pte"
    other.write_bytes(b"")
    with pytest.raises(UsageError, match="cannot be run operator by operator"):
        compare_files(exported["onnx-fp32"].folder, other)
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(exported["onnx-fp32"].path.read_bytes()[:500])
    with pytest.raises(UsageError, match="cannot be read"):
        compare_files(exported["onnx-fp32"].folder, damaged)


def test_an_export_that_misses_its_threshold_names_the_layer(network: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "all_int8.toml"
    recipe.write_text('base = "static_wi8_ai8"\nmin_layer_sqnr_db = 0')
    with pytest.raises(ParityFailed) as caught:
        export(f"{network}:outlier", "onnx-int8", inputs=["1x3x16x16"], num_calib=8, recipe=recipe, output=tmp_path)
    assert "Conv at 2" in str(caught.value) or "Conv at 4" in str(caught.value)


def test_the_default_recipe_leaves_that_layer_in_float_and_says_so(network: Path, tmp_path: Path) -> None:
    reporter = NoteReporter()
    (made,) = export(
        f"{network}:outlier", "onnx-int8", inputs=["1x3x16x16"], num_calib=8, output=tmp_path, reporter=reporter
    )
    (note,) = (note for note in reporter.notes if "with weights in int8" in note)
    assert note.startswith("onnx-int8: ")
    assert note.endswith(" stays in float32")
    (parity,) = made.manifest.parity
    assert parity.sqnr > 30
    assert note.split()[1] in (made.folder / "recipe.toml").read_text()
