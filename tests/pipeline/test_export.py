"""The whole export: every target's converter, every runtime, on topformer-tiny.

One export of all targets serves these tests, and those on the emulated phone.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import edgedeploy
from edgedeploy.core.artifact import Artifact, to_file
from edgedeploy.core.errors import ArtifactInvalid, ParityFailed, UnknownName, UsageError
from edgedeploy.core.measurement import SCHEMA_VERSION, Measurement, ResultFile
from edgedeploy.core.parity import Threshold
from edgedeploy.exporters.targets import TARGETS
from tests.exported import MODEL

pytestmark = [pytest.mark.timeout(900)]


@pytest.mark.parametrize("name", TARGETS.names())
def test_every_target_computes_what_the_network_computes(topformer: dict[str, Artifact], name: str) -> None:
    (parity,) = topformer[name].manifest.parity
    if name.endswith("fp32"):
        assert parity.relative_error < 1e-4
    else:
        assert parity.sqnr >= 30
    assert parity.label_agreement is not None
    assert parity.label_agreement > 0.9


@pytest.mark.parametrize("name", TARGETS.names())
def test_a_manifest_records_what_made_the_file(topformer: dict[str, Artifact], name: str) -> None:
    artifact = Artifact.load(topformer[name].folder)  # checks the hash
    record = json.loads((artifact.folder / "manifest.json").read_text())
    provenance = record["provenance"]
    channels_last = TARGETS[name].backend.channels_last
    assert record["inputs"][0]["shape"] == ([1, 512, 512, 3] if channels_last else [1, 3, 512, 512])
    assert record["outputs"][0]["shape"] == ([1, 64, 64, 150] if channels_last else [1, 150, 64, 64])
    assert record["macs"] == 534_110_208
    assert provenance["weights"]["kind"] == "random"
    assert (provenance["calibration"] is not None) == TARGETS[name].recipe.needs_calibration
    applied = {outcome["rewrite"]: outcome["applied"] for outcome in provenance["rewrites"]}
    assert applied["fold_batch_norm"] == 61
    assert applied["adaptive_pool_to_fixed"] == 4
    assert provenance["versions"]["torch"].startswith("2.13")


@pytest.mark.parametrize("name", TARGETS.names())
def test_int8_files_are_smaller_and_nothing_else_is_left_behind(topformer: dict[str, Artifact], name: str) -> None:
    artifact = topformer[name]
    assert sorted(p.name for p in artifact.folder.iterdir()) == sorted(
        [TARGETS[name].file, "manifest.json", "operators.json", "golden.npz", "recipe.toml"]
    )
    if TARGETS[name].recipe.is_quantized:
        twin = topformer[f"{TARGETS[name].backend}-fp32"]
        assert artifact.manifest.size_bytes < 0.4 * twin.manifest.size_bytes


@pytest.mark.parametrize("name", ["onnx-int8", "executorch-fp32", "tflite-int8"])
def test_verify_repeats_the_comparison_without_the_network(topformer: dict[str, Artifact], name: str) -> None:
    (parity,) = edgedeploy.verify(topformer[name].folder)
    assert parity.sqnr >= 30


def test_verify_fails_for_an_artifact_that_computes_something_else(
    topformer: dict[str, Artifact], tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    source = topformer["onnx-fp32"].folder
    for name in ("model.onnx", "manifest.json"):
        (folder / name).write_bytes((source / name).read_bytes())
    with np.load(source / "golden.npz") as golden:
        arrays = dict(golden)
    arrays["output_0_0"] = arrays["output_0_0"] * 1.01
    np.savez(folder / "golden.npz", **arrays)
    with pytest.raises(ParityFailed, match="does not compute what the network computes"):
        edgedeploy.verify(folder)


def test_a_swapped_file_is_refused_before_it_runs(topformer: dict[str, Artifact], tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "manifest.json").write_bytes((topformer["tflite-fp32"].folder / "manifest.json").read_bytes())
    (folder / "model.tflite").write_bytes(topformer["tflite-int8"].path.read_bytes())
    for call in (edgedeploy.verify, lambda path: edgedeploy.bench([path])):
        with pytest.raises(ArtifactInvalid, match="do not belong together"):
            call(folder)


def test_bench_measures_every_artifact_in_its_runtime(topformer: dict[str, Artifact], tmp_path: Path) -> None:
    seen: dict[int, Measurement] = {}
    made = edgedeploy.bench(
        topformer.values(),
        num_runs=3,
        launches=1,
        min_secs=0,
        warmup_runs=1,
        json_file=tmp_path / "r.json",
        on_row=seen.__setitem__,
    )
    assert [row.target for row in made] == list(topformer)
    assert list(seen.values()) == made
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["schema_version"] == SCHEMA_VERSION
    assert ResultFile.from_json((tmp_path / "r.json").read_bytes()).measurements == tuple(made)
    for row in record["measurements"]:
        assert len(row["samples_ns"]) == 3
        assert row["sample_launches"] == [0, 0, 0]
        assert row["latency_ns"]["min"] == min(row["samples_ns"])
        assert row["parity"]["sqnr_db"] >= 30
        assert row["peak_rss_bytes"] > 10 * 2**20
        assert row["device"]["model"]
        assert row["verdict"]["trustworthy"] is False
        assert "few samples" in {doubt["kind"] for doubt in row["verdict"]["doubts"]}


@pytest.mark.parametrize("name", ["onnx-int8", "executorch-int8", "tflite-int8"])
def test_integer_inputs_and_outputs_carry_their_scale(name: str, tmp_path: Path) -> None:
    (artifact,) = edgedeploy.export(
        MODEL, name, input_size=(64, 64), int8_io=True, output=tmp_path, allow_low_parity=True
    )
    for spec in (*artifact.manifest.inputs, *artifact.manifest.outputs):
        assert spec.dtype in ("int8", "uint8")
        assert spec.scale is not None
        assert spec.scale > 0
        assert spec.zero_point is not None
    golden = artifact.golden()
    assert golden is not None
    stored = to_file(golden.inputs[0][0], artifact.manifest.inputs[0])
    assert stored.dtype == np.dtype(artifact.manifest.inputs[0].dtype)
    (parity,) = artifact.manifest.parity
    assert parity.sqnr > 25


def test_a_tflite_artifact_keeps_torchs_layout_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef make():\n    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1))\n"
    )
    specs = {}
    for layout in ("nhwc", "nchw"):
        (artifact,) = edgedeploy.export(
            f"{tmp_path}/net.py:make", "tflite-fp32", inputs=["1x3x16x20"], layout=layout, output=tmp_path / layout
        )
        manifest = artifact.manifest
        assert manifest.parity[0].relative_error < 1e-4
        specs[layout] = [(spec.layout, spec.shape) for spec in (*manifest.inputs, *manifest.outputs)]
    assert specs == {
        "nhwc": [("NHWC", (1, 16, 20, 3)), ("NHWC", (1, 14, 18, 4))],
        "nchw": [("NCHW", (1, 3, 16, 20)), ("NCHW", (1, 4, 14, 18))],
    }


@pytest.mark.parametrize("size", [(480, 480), (512, 1024)], ids=str)
def test_other_input_sizes_reach_the_same_parity(size: tuple[int, int], tmp_path: Path) -> None:
    (artifact,) = edgedeploy.export(MODEL, "tflite-int8", input_size=size, num_calib=8, output=tmp_path)
    assert (artifact.manifest.inputs[0].shape, artifact.manifest.inputs[0].layout) == ((1, *size, 3), "NHWC")
    assert artifact.manifest.parity[0].sqnr >= 30


@pytest.mark.slow
@pytest.mark.parametrize("size", [(256, 256), (448, 448)], ids=str)
def test_more_input_sizes_reach_the_same_parity(size: tuple[int, int], tmp_path: Path) -> None:
    (artifact,) = edgedeploy.export(MODEL, "tflite-int8", input_size=size, output=tmp_path)
    assert artifact.manifest.parity[0].sqnr >= 30


def test_labels_come_out_at_full_size_and_cheaply(tmp_path: Path) -> None:
    (artifact,) = edgedeploy.export(MODEL, "onnx-fp32", head="labels", input_size=(128, 192), output=tmp_path)
    (spec,), (parity,) = artifact.manifest.outputs, artifact.manifest.parity
    assert (spec.shape, spec.dtype) == ((1, 128, 192), "uint8")
    assert parity.label_agreement is not None
    assert parity.label_agreement > 0.999
    graph = artifact.manifest.provenance.graph
    assert graph is not None
    assert graph.operators["TopK"] == 1
    (outcome,) = (
        outcome
        for outcome in artifact.manifest.provenance.rewrites
        if outcome.rewrite == "argmax_over_candidates" and outcome.applied
    )
    assert outcome.exactness.kind == "approximate"


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS.names())
@pytest.mark.parametrize("head", ["labels", "upsampled"])
def test_every_head_exports_to_every_target(name: str, head: str, tmp_path: Path) -> None:
    (artifact,) = edgedeploy.export(MODEL, name, head=head, input_size=(256, 256), num_calib=8, output=tmp_path)
    (spec,) = artifact.manifest.outputs
    assert (spec.shape[1:3] if spec.layout == "NHWC" else spec.shape[-2:]) == (256, 256)


def test_weights_of_a_file_reach_the_artifact(tmp_path: Path) -> None:
    net = edgedeploy.create_model("topformer-tiny-cls")
    torch.save({"state_dict_ema": net.state_dict()}, tmp_path / "c.pth")
    (artifact,) = edgedeploy.export(
        "topformer_tiny_cls", "onnx-fp32", weights=tmp_path / "c.pth", input_size=(64, 64), output=tmp_path
    )
    weights = artifact.manifest.provenance.weights
    assert (weights.kind, weights.wrapper, weights.num_classes) == ("checkpoint", "state_dict_ema", 1000)
    golden = artifact.golden()
    assert golden is not None
    with torch.no_grad():
        expected = net(torch.from_numpy(golden.inputs[0][0])).numpy()
    np.testing.assert_allclose(golden.outputs[0][0], expected, rtol=1e-4, atol=1e-4)


def test_parity_below_the_threshold_stops_the_export_and_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = TARGETS["onnx-fp32"]
    monkeypatch.setitem(TARGETS._items, "onnx-fp32", replace(target, threshold=Threshold(relative_error=1e-30)))
    options = {"input_size": (64, 64), "output": tmp_path}
    with pytest.raises(ParityFailed, match="the threshold is"):
        edgedeploy.export(MODEL, "onnx-fp32", **options)  # type: ignore[arg-type]
    assert not list(tmp_path.rglob("*.onnx"))
    (kept,) = edgedeploy.export(MODEL, "onnx-fp32", allow_low_parity=True, **options)  # type: ignore[arg-type]
    assert kept.path.is_file()


def test_an_interrupted_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgedeploy.exporters import to_onnx

    def interrupted(job: object) -> None:
        job.path.write_bytes(b"half a model")  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    monkeypatch.setattr(to_onnx, "to_onnx", interrupted)
    with pytest.raises(KeyboardInterrupt):
        edgedeploy.export(MODEL, "onnx-fp32", input_size=(64, 64), output=tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_failure_of_a_converter_is_reported_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgedeploy.core.errors import ExportFailed
    from edgedeploy.exporters import to_onnx

    def refuses(job: object) -> None:
        raise RuntimeError("No decomposition for aten.linalg_vector_norm.default at 'stages.3.attn'")

    monkeypatch.setattr(to_onnx, "to_onnx", refuses)
    with pytest.raises(ExportFailed, match="does not lower to onnx-fp32") as caught:
        edgedeploy.export(MODEL, "onnx-fp32", input_size=(64, 64), output=tmp_path)
    assert "operator: aten.linalg_vector_norm.default" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("topformer-tyny", "onnx-fp32", {}), UnknownName, "Did you mean 'topformer-tiny'"),
        ((MODEL, "onnx-fp23", {}), UnknownName, "Did you mean 'onnx-fp32'"),
        ((MODEL, " , ", {}), UsageError, "no target was named"),
        ((MODEL, "onnx-fp32", {"head": "label"}), UnknownName, "Did you mean 'labels'"),
        ((MODEL, "onnx-fp32", {"without_rewrites": ["fold_bn"]}), UnknownName, "unknown rewrite"),
        ((MODEL, "onnx-fp32", {"input_size": (500, 500)}), UsageError, "--input-size 512x512"),
        (("topformer-tiny-cls", "onnx-fp32", {"head": "labels"}), UsageError, "not a segmentation network"),
    ],
)
def test_wrong_use_is_reported_before_any_work(arguments, error: type[Exception], words: str, tmp_path: Path) -> None:
    model, target, options = arguments
    with pytest.raises(error) as caught:
        edgedeploy.export(model, target, output=tmp_path, **options)
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []
