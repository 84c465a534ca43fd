"""Images to network inputs: calibration sets, and the held-out images that parity is measured on."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from edgedeploy.core.errors import CalibrationInvalid, MissingExtra
from edgedeploy.core.spec import Preprocessing

from .calibration import LEAST, CalibrationSet

EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
HELD_OUT_SEED = 1_000_003  # parity is never measured on the crops that were calibrated on

Progress = Callable[[int, int], None]


def from_folder(
    folder: Path, size: tuple[int, int], preprocessing: Preprocessing, count: int, progress: Progress | None = None
) -> CalibrationSet:
    """The first `count` usable images of a folder and its subfolders, by name, preprocessed as the model wants them.

    A damaged image is skipped and named. Raises CalibrationInvalid when fewer than 8 are usable.
    """
    if not folder.is_dir():
        raise CalibrationInvalid(f"{folder} is no folder", hint="--calib DIR with a folder of images")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
    images: list[NDArray[np.float32]] = []
    skipped: list[tuple[str, str]] = []
    seen: dict[str, str] = {}
    for path in paths:
        if len(images) == count:
            break
        name = str(path.relative_to(folder))
        try:
            content = path.read_bytes()
            same = seen.setdefault(hashlib.sha256(content).hexdigest(), name)
            if same != name:
                skipped.append((name, f"the same image as {same}"))
                continue
            images.append(preprocess(_read(path), size, preprocessing))
        except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            skipped.append((name, str(error).splitlines()[0] if str(error) else type(error).__name__))
        if progress:
            progress(len(images), count)
    if len(images) < LEAST:
        raise CalibrationInvalid(
            f"{folder} has {len(images)} usable images; calibration needs at least {LEAST}",
            details=[f"{len(paths)} image files were found", *(f"{name}: {reason}" for name, reason in skipped[:5])],
            hint="a folder with more images, or leave --calib out to use the built-in photographs",
        )
    return CalibrationSet(str(folder), images, tuple(skipped), len(images))


def from_photographs(size: tuple[int, int], preprocessing: Preprocessing, count: int, seed: int = 0) -> CalibrationSet:
    """Seeded crops and flips of the two photographs that scikit-learn ships: natural images on every machine."""
    photographs = _photographs()
    rng = np.random.default_rng(seed)
    images = [
        preprocess(_crop(photographs[i % len(photographs)], size, rng), size, preprocessing) for i in range(count)
    ]
    return CalibrationSet("crops of scikit-learn's photographs", images, (), len(photographs))


def held_out(size: tuple[int, int], preprocessing: Preprocessing, count: int) -> list[NDArray[np.float32]]:
    """Other crops of the same photographs, for parity."""
    return list(from_photographs(size, preprocessing, count, seed=HELD_OUT_SEED))


def preprocess(image: Image.Image, size: tuple[int, int], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """(1, 3, h, w) float32: resize so that the image covers size / crop_pct, centre crop, scale to 0..1, normalise."""
    h, w = size
    scale = max(h / image.height, w / image.width) / preprocessing.crop_pct
    resized = image.convert("RGB").resize(
        (max(w, round(image.width * scale)), max(h, round(image.height * scale))),
        RESAMPLING[preprocessing.interpolation],
    )
    left, top = (resized.width - w) // 2, (resized.height - h) // 2
    pixels = np.asarray(resized.crop((left, top, left + w, top + h)), dtype=np.float32) / 255.0
    if preprocessing.color_order == "BGR":
        pixels = pixels[..., ::-1]
    mean, std = np.asarray(preprocessing.mean), np.asarray(preprocessing.std)
    normal = ((pixels - mean) / std).transpose(2, 0, 1)[None]
    return np.ascontiguousarray(normal, dtype=np.float32)


def _read(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            image.load()  # a file that is cut short fails here and not later
            return image.convert("RGB")


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
