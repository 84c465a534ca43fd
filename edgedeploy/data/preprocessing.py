"""From an image to a network's input."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from edgedeploy.core.spec import Preprocessing

EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}
MAX_FILE_BYTES = 256 << 20
MAX_PIXELS = 100_000_000
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def preprocess(image: Image.Image, size: tuple[int, int], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """(1, 3, h, w) float32: resize so that the image covers size / crop_pct, centre crop, scale to 0..1, normalise."""
    resized = place(image.convert("RGB"), size, preprocessing, RESAMPLING[preprocessing.interpolation])
    pixels = np.asarray(resized, dtype=np.float32) / 255.0
    if preprocessing.color_order == "BGR":
        pixels = pixels[..., ::-1]
    mean, std = np.asarray(preprocessing.mean), np.asarray(preprocessing.std)
    normal = ((pixels - mean) / std).transpose(2, 0, 1)[None]
    return np.ascontiguousarray(normal, dtype=np.float32)


def place(
    image: Image.Image, size: tuple[int, int], preprocessing: Preprocessing, resampling: Image.Resampling
) -> Image.Image:
    """The image resized so that it covers size / crop_pct, and its centre of this (height, width)."""
    h, w = size
    scale = max(h / image.height, w / image.width) / preprocessing.crop_pct
    resized = image.resize((max(w, round(image.width * scale)), max(h, round(image.height * scale))), resampling)
    left, top = (resized.width - w) // 2, (resized.height - h) // 2
    return resized.crop((left, top, left + w, top + h))


def check_image_file(path: Path) -> None:
    """Raises ValueError for a file that is too large to be one image; nothing of it is read."""
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise ValueError(f"a file of {size / 2**20:.0f} MiB; at most {MAX_FILE_BYTES >> 20} are read")


def read_image(path: Path) -> Image.Image:
    """The whole image in RGB, upright as its EXIF orientation says; 16 bits are scaled to 8.

    An alpha channel is dropped, as torchvision's loader does it. Raises OSError or ValueError for what cannot be read
    rightly: a file that is no image, too many pixels, pixels without a known range.
    """
    check_image_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:  # by the header, before anything is decoded
                raise ValueError(
                    f"{image.width} x {image.height} pixels; at most {MAX_PIXELS // 10**6} million are read"
                )
            image.load()  # a truncated file fails here and not later
            is_png = image.format == "PNG"
            return _to_rgb(ImageOps.exif_transpose(image), is_png=is_png)


def _to_rgb(image: Image.Image, *, is_png: bool) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and is_png):  # PNG has no more than 16 bits
        values = np.asarray(image, dtype=np.float64)
        return Image.fromarray(np.rint(values / 257).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        kind = "32-bit integer" if image.mode == "I" else "floating-point"
        raise ValueError(f"{kind} pixels, whose range is not known; convert it to 8 or 16 bits")
    return image.convert("RGB")
