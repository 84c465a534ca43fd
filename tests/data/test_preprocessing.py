from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from edgedeploy.core.spec import Preprocessing
from edgedeploy.data.preprocessing import preprocess

PLAIN = Preprocessing()


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
