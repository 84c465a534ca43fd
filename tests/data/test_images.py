from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgedeploy.core.errors import CalibrationInvalid
from edgedeploy.core.spec import Preprocessing
from edgedeploy.data.images import from_folder, from_photographs, held_out, preprocess

PLAIN = Preprocessing()


def fill(folder: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    for index in range(count):
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(folder / f"{index:02}.png")


def test_a_folder_is_counted_hashed_and_preprocessed(tmp_path: Path) -> None:
    fill(tmp_path, 10)
    found = from_folder(tmp_path, (32, 64), PLAIN, 9)
    assert len(found) == 9
    assert found.images[0].shape == (1, 3, 32, 64)
    assert found.images[0].dtype == np.float32
    assert found.sha256 == from_folder(tmp_path, (32, 64), PLAIN, 9).sha256
    assert found.sha256 != from_folder(tmp_path, (32, 64), PLAIN, 8).sha256


def test_a_damaged_image_is_named_and_skipped(tmp_path: Path) -> None:
    fill(tmp_path, 9)
    whole = (tmp_path / "03.png").read_bytes()
    (tmp_path / "03.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "04.jpg").write_bytes(b"no picture")
    found = from_folder(tmp_path, (32, 32), PLAIN, 100)
    assert len(found) == 8
    assert [name for name, _ in found.skipped] == ["03.png", "04.jpg"]


def test_the_same_image_twice_counts_once(tmp_path: Path) -> None:
    fill(tmp_path, 8)
    (tmp_path / "copy.png").write_bytes((tmp_path / "00.png").read_bytes())
    found = from_folder(tmp_path, (32, 32), PLAIN, 100)
    assert len(found) == 8
    assert found.skipped == (("copy.png", "the same image as 00.png"),)


def test_fewer_than_eight_usable_images_are_an_error_that_counts_them(tmp_path: Path) -> None:
    fill(tmp_path, 7)
    with pytest.raises(CalibrationInvalid, match="has 7 usable images; calibration needs at least 8"):
        from_folder(tmp_path, (32, 32), PLAIN, 100)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CalibrationInvalid, match="is no folder"):
        from_folder(tmp_path / "none", (32, 32), PLAIN, 8)


def test_grey_transparent_and_palette_images_are_read_as_rgb(tmp_path: Path) -> None:
    for mode in ("L", "LA", "P", "RGBA", "1"):
        assert preprocess(Image.new(mode, (50, 40)), (32, 32), PLAIN).shape == (1, 3, 32, 32)


def test_a_grey_image_has_the_value_that_mean_and_std_say() -> None:
    image = preprocess(Image.new("RGB", (64, 64), (128, 128, 128)), (32, 32), PLAIN)
    expected = (128 / 255 - np.asarray(PLAIN.mean)) / np.asarray(PLAIN.std)
    np.testing.assert_allclose(image[0, :, 5, 5], expected, rtol=1e-5)


def test_the_crop_is_central_and_as_large_as_crop_pct_says() -> None:
    picture = Image.new("RGB", (100, 100), "black")
    picture.paste("white", (10, 10, 90, 90))
    image = preprocess(picture, (80, 80), Preprocessing(mean=(0, 0, 0), std=(1, 1, 1), crop_pct=0.8))
    assert image.min() == 1.0


def test_the_built_in_crops_are_the_same_on_every_call_and_not_those_for_parity() -> None:
    calibration = from_photographs((32, 48), PLAIN, 8)
    assert calibration.sha256 == from_photographs((32, 48), PLAIN, 8).sha256
    assert len({image.tobytes() for image in calibration}) == 8
    others = {image.tobytes() for image in held_out((32, 48), PLAIN, 4)}
    assert not others & {image.tobytes() for image in calibration}
