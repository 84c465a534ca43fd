"""int8 files of one export that are far apart, with artifacts that are records only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgedeploy.core.artifact import Artifact
from edgedeploy.core.parity import Parity
from edgedeploy.exporters.targets import TARGETS
from edgedeploy.pipeline.export.blame.int8_gap import gap_notes
from tests.small_artifacts import convolution


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return convolution(tmp_path_factory.mktemp("gap") / "small")


def notes(small: Artifact, **decibel: float | None) -> list[str]:
    """For targets such as `onnx_int8` with these SQNRs."""
    made = []
    for name, db in decibel.items():
        parity = Parity(0.1, 0.1, 0.1, db, 1.0, None, 1)
        made.append(Artifact(Path(), replace(small.manifest, target=name.replace("_", "-"), parity=(parity,))))
    targets = [TARGETS[artifact.manifest.target] for artifact in made]
    return gap_notes(made, targets, lambda target, _: f"softmax of {target}")


def test_an_int8_file_far_below_the_best_one_has_a_note_with_the_operator(small: Artifact) -> None:
    (note,) = notes(small, onnx_int8=42.5, executorch_int8=33.0, tflite_int8=38.0)
    assert note == (
        "small/executorch-int8: its SQNR of 33.0 dB is 9.5 dB below that of onnx-int8: softmax of executorch-int8"
    )


def test_files_that_are_close_alone_equal_or_in_float_have_none(small: Artifact) -> None:
    assert notes(small, onnx_int8=42.5, tflite_int8=37.0) == []
    assert notes(small, onnx_int8=42.5) == []
    assert notes(small, onnx_int8=10.0, onnx_fp32=130.0, tflite_dynamic=30.0) == []
    assert notes(small, onnx_int8=None, tflite_int8=None) == []
