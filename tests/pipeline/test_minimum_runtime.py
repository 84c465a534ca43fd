"""`--min-runtime` and `--runtime`: what the legacy runtime cannot load is refused at export; what it can is measured."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

import edgedeploy
from edgedeploy.android_harness.legacy_tflite import environment as legacy_tflite
from edgedeploy.core.artifact import Artifact
from edgedeploy.core.errors import ExportFailed, UnknownName, UsageError
from edgedeploy.exporters import to_tflite
from edgedeploy.pipeline.export.minimum_runtime import check_min_runtime, require_loads
from tests.small_artifacts import convolution

NETS = """
import torch
from torch import nn

class Marks(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x).scatter(3, torch.argmax(x, 3, keepdim=True), 1.0)

class Zeros(nn.Module):
    def forward(self, x):
        mean = x.mean((2, 3), keepdim=True)
        return (mean - mean.amax(-1, keepdim=True)) + x

def plain():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1))

def marks():
    return nn.Sequential(nn.Conv2d(3, 8, 1), Marks())

def zeros():
    return nn.Sequential(nn.Conv2d(3, 8, 1), Zeros(), nn.Conv2d(8, 4, 1))
"""


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Artifact]]:
    """Exports one of NETS to ./artifacts."""
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(NETS)
    return functools.partial(edgedeploy.export, inputs=["1x3x16x16"], num_calib=8)


def test_a_file_that_the_legacy_runtime_cannot_load_is_refused_in_its_own_words(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"no model at all")
    refusal = legacy_tflite.load_failure(path)
    assert refusal is not None
    with pytest.raises(ExportFailed, match=r"a/b does not load in tflite-runtime 2\.14\.0") as caught:
        require_loads("tflite-2.14", "litert", path, "a/b")
    assert caught.value.details[0] in refusal.reason


def test_other_formats_and_no_minimum_are_not_checked(tmp_path: Path) -> None:
    require_loads("tflite-2.14", "onnxruntime", tmp_path / "none", "a/b")
    require_loads(None, "litert", tmp_path / "none", "a/b")


def test_an_unknown_runtime_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match=r"Did you mean 'tflite-2\.14'"):
        check_min_runtime("tflite-2.41")


def test_the_legacy_runtime_runs_tflite_files_on_this_machine_only(tmp_path: Path) -> None:
    small = convolution(tmp_path / "small")
    with pytest.raises(UsageError, match="none of these is a tflite artifact"):
        edgedeploy.bench([small], runtime="tflite-runtime")
    for device, runtime in (("qemu", "tflite-runtime"), ("local", "tflite")):
        with pytest.raises(UsageError):
            edgedeploy.bench([small], device=device, runtime=runtime)


def test_a_network_that_the_legacy_runtime_knows_is_exported_for_it_and_measured_in_it(
    export: Callable[..., list[Artifact]],
) -> None:
    artifacts = export("nets.py:plain", "tflite-fp32,tflite-int8", min_runtime="tflite-2.14")
    rows = edgedeploy.bench(artifacts, runtime="tflite-runtime", num_runs=3, launches=1, min_secs=0)
    assert [(row.target, row.runtime, row.runtime_version) for row in rows] == [
        ("tflite-fp32", "tflite-runtime", "2.14.0"),
        ("tflite-int8", "tflite-runtime", "2.14.0"),
    ]
    for row in rows:
        assert len(row.samples_ns) == 3
        assert row.parity is not None
        assert row.parity.sqnr > (100 if row.target == "tflite-fp32" else 20)


def test_an_operator_that_the_legacy_runtime_lacks_is_named_at_export_and_nothing_is_written(
    export: Callable[..., list[Artifact]],
) -> None:
    with pytest.raises(
        ExportFailed, match=r"nets-marks/tflite-fp32 does not load in tflite-runtime 2\.14\.0"
    ) as caught:
        export("nets.py:marks", "tflite-fp32", min_runtime="tflite-2.14")
    assert "it lacks the operator STABLEHLO_SCATTER" in str(caught.value)
    assert list(Path("artifacts").rglob("*.*")) == []
    (artifact,) = export("nets.py:marks", "tflite-fp32")  # which today's runtime runs
    assert artifact.path.is_file()


def test_an_operator_that_the_legacy_runtime_crashes_at_is_found(
    export: Callable[..., list[Artifact]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # the difference of a value from itself is 0 everywhere, and so is its scale where no range is widened
    monkeypatch.setattr(to_tflite, "adjusted_ranges", lambda _graph, ranges, *_: ranges)
    with pytest.raises(ExportFailed, match="does not load") as caught:
        export("nets.py:zeros", "tflite-int8", min_runtime="tflite-2.14", allow_low_parity=True)
    assert "it crashes on loading it (SIGABRT)" in str(caught.value)
    assert "the first operator with which it does: SUB at 1 (number " in str(caught.value)
