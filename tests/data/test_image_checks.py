"""Calibration images that something is wrong with, and those that nothing is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgedeploy.core.spec import Preprocessing
from edgedeploy.data.image_checks import facts_of, warnings_of
from edgedeploy.data.photographs import calibration_from_photographs

Images = list[np.ndarray]
SIZE = (64, 64)


def photographs(count: int = 40) -> Images:
    return list(calibration_from_photographs(SIZE, Preprocessing(), count))


def noise(count: int = 40) -> Images:
    return list(np.random.default_rng(0).standard_normal((count, 1, 3, *SIZE), dtype=np.float32))


def one_video() -> Images:
    """Ten scenes of four frames each, which differ by the camera's noise."""
    rng = np.random.default_rng(0)
    return [scene + rng.normal(0, 0.02, scene.shape).astype(np.float32) for scene in photographs(10) for _ in range(4)]


def without_blue() -> Images:
    images = [image.copy() for image in photographs()]
    for image in images:
        image[:, 2] = 0
    return images


def warnings(images: Images) -> list[str]:
    return warnings_of([facts_of(image) for image in images])


def test_photographs_have_no_warning() -> None:
    assert warnings(photographs()) == []


@pytest.mark.parametrize(
    ("make", "warning"),
    [
        (lambda: photographs(12), "12 images are few"),
        (one_video, "30 of 40 images are nearly the same"),
        (noise, "40 of 40 images look like random noise"),
        (without_blue, "40 of 40 images have a channel with one value everywhere"),
    ],
)
def test_what_is_wrong_is_said_once(make: Callable[[], Images], warning: str) -> None:
    (found,) = warnings(make())
    assert found.startswith(warning)
    assert ":" in found
