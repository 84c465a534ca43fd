"""Networks of the user through the converters."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy import export
from edgedeploy.core.errors import ExportFailed


def test_a_network_that_cannot_be_captured_names_module_line_and_remedy(here: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match="cannot be captured") as caught:
        export("net.py:branch", "onnx-fp32", inputs=["1x3x16x16"], output=tmp_path)
    text = str(caught.value)
    assert "module: 1 (Branch)" in text
    assert "in forward: if x.sum() > 0:" in text
    assert "torch.where" in text


def test_several_inputs_and_a_dictionary_of_outputs_reach_an_artifact(here: Path, tmp_path: Path) -> None:
    (artifact,) = export("net.py:two", "onnx-fp32", output=tmp_path)
    assert artifact.folder == tmp_path / "net-two" / "onnx-fp32"
    manifest = artifact.manifest
    assert [(spec.name, spec.dtype) for spec in manifest.inputs] == [("image", "float32"), ("tokens", "int64")]
    assert [(spec.name, spec.shape) for spec in manifest.outputs] == [("scores", (1, 8)), ("more.0", (1, 8, 16, 16))]
    assert all(parity.relative_error < 1e-4 for parity in manifest.parity)
    assert manifest.provenance.weights.factory == "net.py:two"


@pytest.mark.slow
@pytest.mark.parametrize("target", ["onnx-int8", "executorch-int8", "tflite-int8", "tflite-fp32", "executorch-fp32"])
def test_an_own_network_reaches_every_runtime(target: str, here: Path, tmp_path: Path) -> None:
    (artifact,) = export("net.py:small", target, inputs=["1x3x32x32"], output=tmp_path)
    assert (artifact.manifest.parity[0].sqnr_db or 0) > 20


@pytest.mark.slow
@pytest.mark.parametrize("target", ["onnx-fp32", "executorch-fp32", "tflite-fp32"])
def test_features_reach_every_format_with_four_outputs(target: str, tmp_path: Path) -> None:
    (artifact,) = export("edgenext-xx-small", target, head="features", input_size=(64, 64), output=tmp_path)
    assert [spec.name for spec in artifact.manifest.outputs] == ["stride_4", "stride_8", "stride_16", "stride_32"]
    assert artifact.manifest.provenance.head == "features"


@pytest.mark.slow
def test_an_operator_that_does_not_lower_is_named_with_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (
        "import torch\nfrom torch import nn\n\n\nclass Spectrum(nn.Module):\n    def forward(self, x):\n"
        "        return torch.fft.rfft2(x).abs()\n\n\ndef make():\n"
        "    return nn.Sequential(nn.Conv2d(3, 3, 1), Spectrum())\n"
    )
    (tmp_path / "spectral.py").write_text(text)
    with pytest.raises(ExportFailed, match="does not lower to tflite-fp32") as caught:
        export("spectral.py:make", "tflite-fp32", inputs=["1x3x16x16"], output=tmp_path)
    assert "operator: aten._fft_r2c" in str(caught.value)
    assert "module: 1" in str(caught.value)
    assert "constant DFT matrix" in str(caught.value)
