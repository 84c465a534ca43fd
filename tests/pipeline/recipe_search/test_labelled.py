"""The accuracy of an artifact beside the float network, on labelled images of a folder."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edgedeploy.core.errors import UsageError
from edgedeploy.pipeline.export import stages
from edgedeploy.pipeline.export.options import ExportOptions
from edgedeploy.pipeline.recipe_search import labelled
from edgedeploy.pipeline.recipe_search.labelled import Accuracy, LabelledImages, Samples, read_labelled
from edgedeploy.studies.accuracy.digits import write_class_folders
from tests.reporters import NoteReporter

CLASSES = np.eye(4, dtype=np.float32)


def images(labels: list[int], float_right: list[bool]) -> LabelledImages:
    """The sample of an image is its label as a one-hot vector."""
    return LabelledImages([[CLASSES[label]] for label in labels], tuple(labels), np.array(float_right))


def wrong_for(label: int) -> object:
    return lambda samples: [[np.roll(x, 1) if x[label] else x] for (x,) in samples]


def test_the_drop_counts_what_float_has_right_and_its_error_comes_from_what_changed() -> None:
    found = images([0, 0, 1, 2], [True, True, True, False]).accuracy(wrong_for(0))  # type: ignore[arg-type]
    assert (found.value, found.drop) == (0.5, 0.25)  # two lost, one won
    assert found.drop_error == pytest.approx(math.sqrt(3 - 4 * 0.25**2) / 4)


def test_images_are_run_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled, "CHUNK", 2)
    counts: list[int] = []

    def run(samples: Samples) -> Samples:
        counts.append(len(samples))
        return [list(sample) for sample in samples]

    assert images([0, 1, 2, 3, 1], [True] * 5).accuracy(run) == Accuracy(1.0, 0.0, 0.0)
    assert counts == [2, 2, 1]


@pytest.fixture(scope="module")
def prepared() -> stages.PreparedNetwork:
    options, reporter = ExportOptions(input_size=(32, 32), num_calib=2), NoteReporter()
    network = stages.load("mobilenetv2-100", options, reporter)
    return stages.prepare(
        network, stages.calibrate(network, options.targets("onnx-int8"), options, reporter), options, reporter
    )


def test_a_damaged_image_is_named_and_left_out(tmp_path: Path, prepared: stages.PreparedNetwork) -> None:
    write_class_folders(tmp_path, "held-out", 32, 12, seed=0)
    (tmp_path / "03" / "broken.png").write_bytes(b"no image")
    reporter = NoteReporter()
    found = read_labelled(tmp_path, prepared, reporter)
    assert len(found.labels) == len(found.float_right) == len(found.samples) == 12
    assert [note for note in reporter.notes if "03/broken.png is skipped" in note]


def test_images_without_classes_are_refused(tmp_path: Path, prepared: stages.PreparedNetwork) -> None:
    write_class_folders(tmp_path / "a", "held-out", 32, 1, seed=0)
    next((tmp_path / "a" / "00").iterdir()).rename(tmp_path / "one.png")
    (tmp_path / "a" / "00").rmdir()
    (tmp_path / "a").rmdir()
    with pytest.raises(UsageError, match="no folder for each class"):
        read_labelled(tmp_path, prepared, NoteReporter())


def test_a_folder_of_damaged_images_is_refused(tmp_path: Path, prepared: stages.PreparedNetwork) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "broken.png").write_bytes(b"no image")
    with pytest.raises(UsageError, match="none of the 1 images"):
        read_labelled(tmp_path, prepared, NoteReporter())
