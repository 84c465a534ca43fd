"""The old runtime, from the command's side: what it cannot load is told at export; what it can is measured in it."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgedeploy
from edgedeploy.android_harness import old_runtime
from edgedeploy.core.errors import ExportFailed, UnknownName, UsageError
from edgedeploy.old_runtimes import check_min_runtime, require_loads

from .small import convolution


def test_a_file_that_the_old_runtime_cannot_load_is_refused_in_its_own_words(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"no model at all")
    reason = old_runtime.refusal_of(path)
    assert reason is not None
    with pytest.raises(ExportFailed, match=r"a/b does not load in tflite-runtime 2\.14\.0") as caught:
        require_loads("tflite-2.14", "litert", path, "a/b")
    assert caught.value.details[0] in reason


def test_other_formats_and_no_wish_are_left_alone(tmp_path: Path) -> None:
    require_loads("tflite-2.14", "onnxruntime", tmp_path / "none", "a/b")
    require_loads(None, "litert", tmp_path / "none", "a/b")


def test_a_runtime_that_nobody_knows_is_answered() -> None:
    with pytest.raises(UnknownName, match=r"Did you mean 'tflite-2\.14'"):
        check_min_runtime("tflite-2.41")


def test_the_old_runtime_runs_tflite_files_on_this_machine_only(tmp_path: Path) -> None:
    small = convolution(tmp_path / "small")
    with pytest.raises(UsageError, match="none of these is a tflite artifact"):
        edgedeploy.bench([small], runtime="tflite-runtime")
    for device, runtime in (("qemu", "tflite-runtime"), ("local", "tflite")):
        with pytest.raises(UsageError):
            edgedeploy.bench([small], device=device, runtime=runtime)
