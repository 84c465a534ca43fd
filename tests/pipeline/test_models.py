"""`edgedeploy models` and `edgedeploy weights`: their rows, and that the tables fit a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgedeploy.core.artifact import MANIFEST, Manifest, write_manifest
from edgedeploy.core.errors import UnknownName
from edgedeploy.core.parity import Parity, Threshold
from edgedeploy.core.provenance import Provenance, WeightsInfo
from edgedeploy.core.recipes import FP32
from edgedeploy.core.spec import TensorSpec
from edgedeploy.models.zoo import ZOO
from edgedeploy.pipeline.models import list_exported, list_models

ROOT = Path(__file__).parent.parent.parent


def edgedeploy(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "edgedeploy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


def write_example(folder: Path, model: str, target: str, sqnr_db: float) -> None:
    """A manifest of a network with two outputs, of which the second one is worse."""
    tensor = (TensorSpec("x", (1,)),)
    manifest = Manifest(
        model, target, "onnxruntime", "model.onnx", "", 7, tensor, tensor,
        parity=tuple(Parity(0.1, 0.1, 0.01, value, 1.0, None, 10) for value in (190.0, sqnr_db)),
        threshold=Threshold(),
        provenance=Provenance("0.1.0", "2026-01-02T03:04:05+00:00", WeightsInfo("random"), FP32),
    )  # fmt: skip
    (folder / model / target).mkdir(parents=True)
    write_manifest(folder / model / target, manifest, ())


def test_every_variant_has_the_facts_that_a_person_chooses_by() -> None:
    rows = {row.name: row for row in list_models()}
    assert list(rows) == ZOO.names()
    for row in rows.values():
        assert row.accuracy is not None
        assert (row.accuracy.value or 0) > 10
        assert row.licence_weights
        assert (row.macs or 0) > 0
    latency = rows["topformer-tiny"].latency
    assert latency is not None
    assert (latency.device or "").startswith("Qualcomm Snapdragon 865")
    assert latency.input == 512
    assert rows["conv2former-l"].latency is None


def test_a_name_alone_shows_that_variant_and_a_part_of_one_shows_all() -> None:
    assert [row.name for row in list_models("topformer_tiny")] == ["topformer-tiny"]
    assert len(list_models("topformer")) == 6
    with pytest.raises(UnknownName, match="Did you mean"):
        list_models("topformer-tinny")


def test_what_was_exported_is_read_from_the_manifests(tmp_path: Path) -> None:
    write_example(tmp_path, "topformer-tiny", "tflite-int8", 31.5)
    write_example(tmp_path, "edgenext-xx-small-features", "onnx-fp32", 120.0)
    write_example(tmp_path, "net-own", "onnx-fp32", 120.0)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / MANIFEST).write_text("{")
    assert [row.model for row in list_exported(tmp_path)] == ["edgenext-xx-small-features", "net-own", "topformer-tiny"]
    rows = {row.name: row.exported for row in list_models(artifacts=tmp_path)}
    ((tiny,), (features,)) = rows["topformer-tiny"], rows["edgenext-xx-small"]
    assert tiny.parity is not None
    assert tiny.parity.sqnr_db == 31.5  # of the worst output
    assert (tiny.weights, features.target) == ("random", "onnx-fp32")
    assert rows["topformer-base"] == ()


def test_manifests_are_read_without_torch() -> None:
    call = "from edgedeploy.pipeline.models import list_exported; list_exported()"
    code = f"import sys; {call}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "False"


def test_the_table_fits_120_columns_and_shows_exports(tmp_path: Path) -> None:
    write_example(tmp_path / "artifacts", "topformer-tiny", "tflite-int8", 31.5)
    shown = edgedeploy("models", cwd=tmp_path).stdout.splitlines()
    table = shown[: 1 + len(ZOO)]
    assert table[0].split()[0] == "model"
    assert max(len(line.rstrip()) for line in table) <= 120
    assert any("tflite-int8" in line and "31.5" in line for line in shown)


def test_one_variant_shows_its_reading_and_all_published_figures(tmp_path: Path) -> None:
    shown = edgedeploy("models", "xformer", cwd=tmp_path).stdout
    assert "our reading" in shown
    assert "78.5" in shown


def test_weights_shows_where_they_are_and_under_which_licence(tmp_path: Path) -> None:
    shown = edgedeploy("weights", "edgenext-small", cwd=tmp_path).stdout
    for fact in ("releases/download", "--weights official downloads it", "MIT", "79.4"):
        assert fact in shown
    record = json.loads(edgedeploy("weights", "topformer_tiny", "--json", cwd=tmp_path).stdout)
    assert "Google Drive" in record["how"]
    wrong = edgedeploy("weights", "topformer-tinny", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "Did you mean" in wrong.stderr
