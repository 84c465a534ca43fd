"""A labelled set that every machine can make: scikit-learn's digits on crops of its photographs, with hard negatives.

An image shows one handwritten digit, enlarged, turned, in a random colour and contrast, on a crop of a darkened
photograph that also has fragments of other digits on it. The eleventh class has fragments alone. The label of a pixel is
the digit's class where the digit's stroke covers it, and the eleventh class elsewhere, so that the same images serve
classification and segmentation.

Training and held-out images share neither digits nor parts of the photographs. All is seeded: the same numbers give the
same images on every machine with the same Pillow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Split = Literal["train", "held-out"]

NO_DIGIT = 10  # an image without a digit, and a pixel outside the digit's stroke
NUM_CLASSES = 11
HELD_OUT_SEED = 7_000_003
SPLIT_SEED = 11
TRAIN_DIGITS = 1200  # of 1,797; the others are held out
TRAIN_WIDTH = 0.6  # the left part of each photograph; the rest is for held-out images
GLYPH = 8  # side of one of scikit-learn's digits, in pixels
LARGEST_VALUE = 16.0
BRIGHTNESS = 0.6  # of the photographs; the digits are lighter than what they cover
STROKE = 0.4  # coverage from which a pixel belongs to the digit


@dataclass(frozen=True)
class LabelledImage:
    """One image.

    Attributes:
        pixels: RGB, (side, side, 3) uint8.
        label: 0 to 9, or NO_DIGIT.
        mask: (side, side) uint8, the class of each pixel.
    """

    pixels: NDArray[np.uint8]
    label: int
    mask: NDArray[np.uint8]


@dataclass(frozen=True)
class Scene:
    """What images are drawn of; see `draw_images`."""

    split: Split
    side: int
    difficulty: float


def draw_images(split: Split, side: int, count: int, seed: int, difficulty: float = 1.0) -> Iterator[LabelledImage]:
    """`count` images; the classes take turns, so that each has the same share.

    Args:
        difficulty: 1 for the images of the study; towards 0 the background loses its contrast and the digits move to the
            middle, which is what a training begins with.
    """
    rng = np.random.default_rng([seed, HELD_OUT_SEED if split == "held-out" else 0])
    for index in range(count):
        yield _draw(Scene(split, side, difficulty), index % NUM_CLASSES, rng)


def write_class_folders(folder: Path, split: Split, side: int, count: int, seed: int) -> None:
    """The images as PNG files in a folder for each class, as `edgedeploy evaluate` reads them."""
    for index, image in enumerate(draw_images(split, side, count, seed)):
        target = folder / f"{image.label:02d}"
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.pixels).save(target / f"{index:05d}.png")


def write_images_and_masks(folder: Path, split: Split, side: int, count: int, seed: int) -> None:
    """The images and their pixels' labels in `images/` and `masks/`."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(draw_images(split, side, count, seed)):
        Image.fromarray(image.pixels).save(folder / "images" / f"{index:05d}.png")
        Image.fromarray(image.mask).save(folder / "masks" / f"{index:05d}.png")


@cache
def _photographs() -> tuple[Image.Image, ...]:
    from sklearn.datasets import load_sample_images

    return tuple(Image.fromarray(np.asarray(array)) for array in load_sample_images().images)


@cache
def _digits(split: Split) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Glyphs (n, 8, 8) between 0 and 1, and their classes."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(data.target))
    chosen = order[:TRAIN_DIGITS] if split == "train" else order[TRAIN_DIGITS:]
    return (data.images[chosen] / LARGEST_VALUE).astype(np.float32), data.target[chosen]


def _draw(scene: Scene, label: int, rng: np.random.Generator) -> LabelledImage:
    canvas = _background(scene, rng)
    mask = np.full((scene.side, scene.side), NO_DIGIT, np.uint8)
    for _ in range(rng.integers(2, 4) if label == NO_DIGIT else rng.integers(0, 2)):
        _blend(canvas, _placed(_fragment(scene.split, rng), scene, rng.uniform(0.3, 0.45), rng), rng)
    if label != NO_DIGIT:
        glyphs, classes = _digits(scene.split)
        glyph = glyphs[rng.choice(np.flatnonzero(classes == label))]
        coverage = _placed(glyph, scene, rng.uniform(0.6, 0.9), rng)
        _blend(canvas, coverage, rng)
        mask[coverage > STROKE] = label
    canvas += rng.normal(0, rng.uniform(0, 8), canvas.shape)
    return LabelledImage(np.rint(canvas.clip(0, 255)).astype(np.uint8), label, mask)


def _background(scene: Scene, rng: np.random.Generator) -> NDArray[np.float64]:
    """A crop of a photograph's part, perhaps mirrored and blurred."""
    photographs, side = _photographs(), scene.side
    photograph = photographs[rng.integers(len(photographs))]
    border = round(photograph.width * TRAIN_WIDTH)
    first, last = (0, border) if scene.split == "train" else (border, photograph.width)
    size = int(rng.integers(64, min(240, last - first)))
    left, top = int(rng.integers(first, last - size + 1)), int(rng.integers(0, photograph.height - size + 1))
    crop = photograph.crop((left, top, left + size, top + size)).resize((side, side), Image.Resampling.BILINEAR)
    if rng.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.5:
        crop = crop.filter(ImageFilter.GaussianBlur(side / 64))
    pixels = np.asarray(crop, dtype=np.float64)
    mean = pixels.mean(axis=(0, 1))
    return np.asarray(BRIGHTNESS * (mean + scene.difficulty * (pixels - mean)))


def _fragment(split: Split, rng: np.random.Generator) -> NDArray[np.float32]:
    """A digit of which a half was cut off: strokes like a digit's that are none."""
    glyphs, _ = _digits(split)
    glyph = glyphs[rng.integers(len(glyphs))].copy()
    half = GLYPH // 2
    (glyph[:half], glyph[half:], glyph[:, :half], glyph[:, half:])[rng.integers(4)][...] = 0
    return glyph


def _placed(glyph: NDArray[np.float32], scene: Scene, share: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(side, side), how much of each pixel the glyph covers: enlarged to a share of the side, turned, anywhere inside."""
    side = scene.side
    size = max(GLYPH, round(side * share))
    enlarged = Image.fromarray(glyph).resize((size, size), Image.Resampling.BICUBIC)
    turned = enlarged.rotate(rng.uniform(-15, 15), Image.Resampling.BILINEAR)
    middle, free = (side - size) / 2, scene.difficulty * rng.uniform(-0.5, 0.5, 2) * (side - size)
    left, top = np.rint(middle + free).astype(int)
    coverage = np.zeros((side, side))
    coverage[top : top + size, left : left + size] = np.asarray(turned).clip(0, 1)
    return coverage


def _blend(canvas: NDArray[np.float64], coverage: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Draws in one colour that is lighter than what it covers, in place.

    With both, lighter and darker, the mean image of every class is grey, and networks stay at chance for many epochs.
    """
    covered = coverage > STROKE
    mean = canvas[covered].mean(axis=0) if covered.any() else canvas.mean(axis=(0, 1))
    contrast = rng.uniform(70, 150)
    colour = mean + contrast + rng.normal(0, 25, 3)
    alpha = (coverage * rng.uniform(0.8, 1.0))[..., None]
    canvas += alpha * (colour.clip(0, 255) - canvas)
