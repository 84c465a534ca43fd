"""What is wrong with a set of calibration images, as far as the images alone show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEW_IMAGES = 32
THUMBNAIL = 8  # side of the blocks' means that images are compared by
ALIKE = 0.02  # of the thumbnails' spread: below, two images are nearly the same
ALIKE_SHARE = 0.2  # of the images, from which a warning says so
NOISE_CORRELATION = 0.3  # of neighbouring pixels; photographs have 0.8 and more
FLAT = 1e-3  # standard deviation, in units of normalised inputs
FLAT_SHARE = 0.2


@dataclass(frozen=True)
class ImageFacts:
    """What is kept of one image.

    Attributes:
        thumbnail: means of 8x8 blocks of each channel, as one vector.
        correlation: of horizontally neighbouring pixels; 1 for an image without contrast.
        flat_channels: channels that have one value everywhere.
    """

    thumbnail: NDArray[np.float64]
    correlation: float
    flat_channels: int


def facts_of(image: NDArray[np.float32]) -> ImageFacts:
    """Takes (1, 3, h, w)."""
    pixels = image[0].astype(np.float64)
    blocks = [np.array_split(row, THUMBNAIL, axis=2) for row in np.array_split(pixels, THUMBNAIL, axis=1)]
    thumbnail = np.array([block.mean(axis=(1, 2)) for row in blocks for block in row if block.size]).ravel()
    left, right = pixels[..., :-1].ravel(), pixels[..., 1:].ravel()
    has_contrast = left.std() > FLAT and right.std() > FLAT
    correlation = float(np.corrcoef(left, right)[0, 1]) if has_contrast else 1.0
    return ImageFacts(thumbnail, correlation, int((pixels.std(axis=(1, 2)) < FLAT).sum()))


def warnings_of(facts: Sequence[ImageFacts]) -> list[str]:
    """One sentence for each thing that is wrong, with what to do."""
    count, found = len(facts), []
    if count < FEW_IMAGES:
        found.append(f"{count} images are few: rare values are missed and clipped; {FEW_IMAGES} or more are better")
    alike = _nearly_the_same([fact.thumbnail for fact in facts])
    if alike >= max(2, ALIKE_SHARE * count):
        found.append(
            f"{alike} of {count} images are nearly the same as an earlier one, such as frames of one video: "
            "take them from different scenes"
        )
    noise = sum(fact.correlation < NOISE_CORRELATION for fact in facts)
    if noise > count / 2:
        found.append(
            f"{noise} of {count} images look like random noise: ranges need images of the kind that the network sees"
        )
    flat = sum(fact.flat_channels > 0 for fact in facts)
    if flat >= max(2, FLAT_SHARE * count):
        found.append(
            f"{flat} of {count} images have a channel with one value everywhere: check that they are whole, in colour, "
            "and that their values are 0 to 255"
        )
    return found


def _nearly_the_same(thumbnails: Sequence[NDArray[np.float64]]) -> int:
    """How many images have one before them that they hardly differ from."""
    vectors = np.array(thumbnails)
    spread = vectors.std() or 1.0
    same = 0
    for index in range(1, len(vectors)):
        distance = np.sqrt(((vectors[:index] - vectors[index]) ** 2).mean(axis=1))
        same += bool((distance < ALIKE * spread).any())
    return same
