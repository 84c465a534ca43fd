from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgedeploy.core.errors import CalibrationInvalid
from edgedeploy.core.provenance import SkippedImage
from edgedeploy.core.spec import Preprocessing
from edgedeploy.data.calibration import calibration_from_folder

PLAIN = Preprocessing()


def fill(folder: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    for index in range(count):
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(folder / f"{index:02}.png")


def test_a_folder_is_counted_hashed_and_preprocessed(tmp_path: Path) -> None:
    fill(tmp_path, 10)
    found = calibration_from_folder(tmp_path, (32, 64), PLAIN, 9)
    assert len(found) == 9
    assert found.images[0].shape == (1, 3, 32, 64)
    assert found.images[0].dtype == np.float32
    assert found.sha256 == calibration_from_folder(tmp_path, (32, 64), PLAIN, 9).sha256
    assert found.sha256 != calibration_from_folder(tmp_path, (32, 64), PLAIN, 8).sha256


def test_a_damaged_image_is_named_and_skipped(tmp_path: Path) -> None:
    fill(tmp_path, 9)
    whole = (tmp_path / "03.png").read_bytes()
    (tmp_path / "03.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "04.jpg").write_bytes(b"no picture")
    found = calibration_from_folder(tmp_path, (32, 32), PLAIN, 100)
    assert len(found) == 8
    assert sorted(image.file for image in found.skipped) == ["03.png", "04.jpg"]


def test_the_same_image_twice_counts_once(tmp_path: Path) -> None:
    fill(tmp_path, 8)
    (tmp_path / "copy.png").write_bytes((tmp_path / "00.png").read_bytes())
    found = calibration_from_folder(tmp_path, (32, 32), PLAIN, 100)
    assert len(found) == 8
    (skipped,) = found.skipped
    assert skipped in (
        SkippedImage("copy.png", "the same image as 00.png"),
        SkippedImage("00.png", "the same image as copy.png"),
    )


def test_fewer_than_eight_usable_images_are_an_error_that_counts_them(tmp_path: Path) -> None:
    fill(tmp_path, 7)
    with pytest.raises(CalibrationInvalid, match="has 7 usable images; calibration needs at least 8"):
        calibration_from_folder(tmp_path, (32, 32), PLAIN, 100)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CalibrationInvalid, match="is not a folder"):
        calibration_from_folder(tmp_path / "none", (32, 32), PLAIN, 8)


def test_every_subfolder_gives_as_many_images_and_not_the_first_by_name(tmp_path: Path) -> None:
    """Each image is of one colour, which says where it is from."""
    for label, name in enumerate(("ant", "bee", "cat")):
        (tmp_path / name).mkdir()
        for index in range(20):
            colour = (60 * label, 5 * index, 0)
            Image.new("RGB", (8, 8), colour).save(tmp_path / name / f"{index:02}.png")
    plain = Preprocessing(mean=(0, 0, 0), std=(1, 1, 1))
    found = calibration_from_folder(tmp_path, (8, 8), plain, 12)
    origins = [(round(image[0, 0, 0, 0] * 255) // 60, round(image[0, 1, 0, 0] * 255) // 5) for image in found]
    assert [sum(label == wanted for label, _ in origins) for wanted in range(3)] == [4, 4, 4]
    assert max(index for _, index in origins) > 10
