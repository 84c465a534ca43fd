"""From an image to a network's input."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgedeploy.core.spec import Preprocessing

EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


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


def read_image(path: Path) -> Image.Image:
    """The whole image in RGB. Raises OSError or what Pillow raises for a file that is not an image."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            image.load()  # a truncated file fails here and not later
            return image.convert("RGB")
