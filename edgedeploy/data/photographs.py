"""Images for machines without a data set: seeded crops of the two photographs that scikit-learn ships."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgedeploy.core.errors import MissingExtra
from edgedeploy.core.spec import Preprocessing

from .calibration import CalibrationSet
from .preprocessing import preprocess

HELD_OUT_SEED = 1_000_003  # parity is never measured on the crops that were calibrated on


def calibration_from_photographs(
    size: tuple[int, int], preprocessing: Preprocessing, count: int, seed: int = 0
) -> CalibrationSet:
    """`count` seeded crops and flips: natural images, the same on every machine. Raises MissingExtra."""
    photographs = _photographs()
    rng = np.random.default_rng(seed)
    images = [
        preprocess(_crop(photographs[i % len(photographs)], size, rng), size, preprocessing) for i in range(count)
    ]
    return CalibrationSet("crops of scikit-learn's photographs", images, (), len(photographs))


def held_out_images(size: tuple[int, int], preprocessing: Preprocessing, count: int) -> list[NDArray[np.float32]]:
    """Other crops of the same photographs, on which parity is measured."""
    return list(calibration_from_photographs(size, preprocessing, count, seed=HELD_OUT_SEED))


def _photographs() -> list[Image.Image]:
    try:
        from sklearn.datasets import load_sample_images
    except ImportError:
        raise MissingExtra("torch", "scikit-learn", "calibrating without --calib DIR") from None
    return [Image.fromarray(np.asarray(array)) for array in load_sample_images().images]


def _crop(photograph: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """A crop with the input's aspect, between a third and all of the photograph's height or width, perhaps mirrored."""
    aspect = size[1] / size[0]
    largest = min(photograph.height, photograph.width / aspect)
    height = largest * rng.uniform(0.35, 1.0)
    width = height * aspect
    left = rng.uniform(0, photograph.width - width)
    top = rng.uniform(0, photograph.height - height)
    crop = photograph.crop((round(left), round(top), round(left + width), round(top + height)))
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else crop
