from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgedeploy.core.artifact import (
    SCHEMA_VERSION,
    Artifact,
    Golden,
    Manifest,
    find_artifacts,
    from_file,
    to_file,
    write_manifest,
)
from edgedeploy.core.errors import ArtifactInvalid
from edgedeploy.core.parity import Threshold, compare
from edgedeploy.core.provenance import OperatorFact, Provenance, WeightsInfo
from edgedeploy.core.recipes import FP32
from edgedeploy.core.spec import TensorSpec
from edgedeploy.core.storage.files import sha256_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An artifact whose file is a few bytes; enough for everything but running it."""
    path = tmp_path / "net" / "onnx-fp32"
    path.mkdir(parents=True)
    (path / "model.onnx").write_bytes(b"bytes")
    manifest = Manifest(
        model="net",
        target="onnx-fp32",
        runtime="onnxruntime",
        file="model.onnx",
        sha256=sha256_of(path / "model.onnx"),
        size_bytes=5,
        inputs=(TensorSpec("image", (1, 3, 4, 4), layout="NCHW"),),
        outputs=(TensorSpec("logits", (1, 2), "int8", scale=0.5, zero_point=3),),
        parity=(compare(np.array([1.0, 2.0]), np.array([1.0, 2.5])),),
        threshold=Threshold(sqnr_db=20.0),
        provenance=Provenance("0", "2026-01-01T00:00:00+00:00", WeightsInfo("random"), FP32),
    )
    write_manifest(path, manifest, (OperatorFact("a", "Conv", "net.conv"),))
    return path


@pytest.mark.parametrize("inside", ["", "manifest.json", "model.onnx"])
def test_an_artifact_is_found_by_its_folder_manifest_or_file(folder: Path, inside: str) -> None:
    loaded = Artifact.load(folder / inside)
    assert str(loaded) == "net/onnx-fp32"
    assert loaded.manifest.outputs[0].scale == 0.5


def test_a_file_that_is_not_the_manifests_is_refused(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"other")
    with pytest.raises(ArtifactInvalid, match="do not belong together"):
        Artifact.load(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(ArtifactInvalid, match=r"model\.onnx is missing"):
        Artifact.load(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model": 1}', "null"])
def test_a_damaged_manifest_is_an_error_in_words(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ArtifactInvalid, match=r"manifest\.json cannot be read"):
        Artifact.load(folder)


def test_a_manifest_cannot_name_a_file_elsewhere(folder: Path) -> None:
    record = json.loads((folder / "manifest.json").read_text()) | {"file": "../../../etc/passwd"}
    (folder / "manifest.json").write_text(json.dumps(record))
    with pytest.raises(ArtifactInvalid, match="outside its folder"):
        Artifact.load(folder)


def test_a_manifest_with_keys_of_a_later_version_is_read(folder: Path) -> None:
    record = json.loads((folder / "manifest.json").read_text()) | {"later": 1}
    (folder / "manifest.json").write_text(json.dumps(record))
    assert Artifact.load(folder).manifest.model == "net"


def test_a_manifest_of_a_newer_schema_is_refused_in_one_sentence(folder: Path) -> None:
    record = json.loads((folder / "manifest.json").read_text()) | {"schema_version": SCHEMA_VERSION + 1}
    (folder / "manifest.json").write_text(json.dumps(record))
    with pytest.raises(ArtifactInvalid, match="install a newer edgedeploy"):
        Artifact.load(folder)


@pytest.mark.parametrize(
    ("change", "key"),
    [({"size_bytes": "5"}, "$.size_bytes"), ({"inputs": [{"name": "x"}]}, "$.inputs[0]"), ({"parity": 1}, "$.parity")],
)
def test_a_manifest_with_a_wrong_value_names_its_key(folder: Path, change: dict[str, object], key: str) -> None:
    record = json.loads((folder / "manifest.json").read_text()) | change
    (folder / "manifest.json").write_text(json.dumps(record))
    with pytest.raises(ArtifactInvalid) as caught:
        Artifact.load(folder)
    assert key in str(caught.value)


def test_a_manifest_survives_its_json(folder: Path) -> None:
    manifest = Artifact.load(folder).manifest
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_the_operators_of_an_artifact_are_read_from_beside_it(folder: Path) -> None:
    assert Artifact.load(folder).operators() == (OperatorFact("a", "Conv", "net.conv"),)
    (folder / "operators.json").unlink()
    assert Artifact.load(folder).operators() == ()


def test_every_file_of_an_artifact_is_checked(folder: Path) -> None:
    record = json.loads((folder / "manifest.json").read_text())
    record["more_files"] = [{"name": "weights.bin", "sha256": "0", "size_bytes": 1}]
    (folder / "manifest.json").write_text(json.dumps(record))
    with pytest.raises(ArtifactInvalid, match=r"weights\.bin is missing"):
        Artifact.load(folder)


def test_unfinished_artifacts_are_not_found(folder: Path) -> None:
    half = folder.parent / ".tflite-int8.1-ab.tmp"
    half.mkdir()
    (half / "manifest.json").write_text("{}")
    assert list(find_artifacts(folder.parent.parent)) == [folder]


def test_golden_inputs_and_outputs_survive_the_file(tmp_path: Path) -> None:
    golden = Golden([[np.arange(3.0), np.ones(2)], [np.zeros(3), np.ones(2)]], [[np.ones(1)], [np.zeros(1)]])
    golden.save(tmp_path / "golden.npz")
    loaded = Golden.load(tmp_path / "golden.npz")
    assert [len(sample) for sample in loaded.inputs] == [2, 2]
    np.testing.assert_array_equal(loaded.inputs[0][0], np.arange(3.0))
    assert [len(sample) for sample in loaded.outputs] == [1, 1]


def test_stored_samples_of_another_shape_than_the_manifests_are_refused(folder: Path) -> None:
    output = [np.zeros((1, 2), np.float32)]
    Golden([[np.zeros((1, 3, 4, 4), np.float32)]], [output]).save(folder / "golden.npz")
    assert Artifact.load(folder).golden() is not None
    Golden([[np.zeros((1, 3, 4, 9), np.float32)]], [output]).save(folder / "golden.npz")
    with pytest.raises(ArtifactInvalid, match="does not fit the manifest") as caught:
        Artifact.load(folder).golden()
    assert "image is described as (1, 3, 4, 4), it holds (1, 3, 4, 9)" in caught.value.details


def test_images_go_to_the_files_layout_and_back() -> None:
    spec = TensorSpec("x", (1, 4, 5, 3), layout="NHWC")
    image = np.arange(60, dtype=np.float32).reshape(1, 3, 4, 5)
    stored = to_file(image, spec)
    assert stored.shape == spec.shape
    assert stored.flags.c_contiguous
    np.testing.assert_array_equal(from_file(stored, spec), image)


def test_quantizing_clamps_and_dequantizing_inverts() -> None:
    spec = TensorSpec("x", (3,), "int8", scale=0.5, zero_point=-4)
    stored = to_file(np.array([0.0, 1.2, 1e9]), spec)
    assert stored.tolist() == [-4, -2, 127]
    np.testing.assert_allclose(from_file(stored, spec), [0.0, 1.0, 65.5])
