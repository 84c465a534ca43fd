"""CalibrationSet: the images that activation ranges are taken from, named, counted and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedeploy.core.errors import CalibrationInvalid
from edgedeploy.core.provenance import CalibrationInfo, SkippedImage
from edgedeploy.core.spec import Preprocessing

from .preprocessing import EXTENSIONS, check_image_file, preprocess, read_image

Progress = Callable[[int, int], None]  # usable images so far, images wanted

MIN_IMAGES = 8  # with fewer, one odd image decides the ranges


@dataclass(frozen=True)
class CalibrationSet:
    """Preprocessed inputs.

    Attributes:
        name: where they come from, in words.
        images: (1, 3, h, w) float32 each.
        skipped: files that were not usable, and why.
        files: how many image files were read.
    """

    name: str
    images: Sequence[NDArray[np.float32]]
    skipped: tuple[SkippedImage, ...] = ()
    files: int = 0

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return iter(self.images)

    @property
    def sha256(self) -> str:
        """Of all values, in order: the same set gives the same hash on every machine."""
        digest = hashlib.sha256()
        for image in self.images:
            digest.update(np.ascontiguousarray(image, dtype="<f4").tobytes())
        return digest.hexdigest()

    @property
    def info(self) -> CalibrationInfo:
        """What the manifest keeps of it."""
        return CalibrationInfo(self.name, len(self), self.files, self.sha256, self.skipped)


def calibration_from_folder(
    folder: Path, size: tuple[int, int], preprocessing: Preprocessing, count: int, progress: Progress | None = None
) -> CalibrationSet:
    """The first `count` usable images of a folder and its subfolders, by name, preprocessed as the model wants them.

    A damaged image is skipped and named. Raises CalibrationInvalid when fewer than 8 are usable.
    """
    if not folder.is_dir():
        raise CalibrationInvalid(f"{folder} is not a folder", hint="--calib DIR with a folder of images")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
    images: list[NDArray[np.float32]] = []
    skipped: list[SkippedImage] = []
    seen: dict[str, str] = {}
    for path in paths:
        if len(images) == count:
            break
        name = str(path.relative_to(folder))
        try:
            check_image_file(path)
            content = path.read_bytes()
            same = seen.setdefault(hashlib.sha256(content).hexdigest(), name)
            if same != name:
                skipped.append(SkippedImage(name, f"the same image as {same}"))
                continue
            images.append(preprocess(read_image(path), size, preprocessing))
        except Exception as error:  # Pillow raises many kinds for a damaged file; it is named and left out
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            skipped.append(SkippedImage(name, reason))
        if progress:
            progress(len(images), count)
    if len(images) < MIN_IMAGES:
        raise CalibrationInvalid(
            f"{folder} has {len(images)} usable images; calibration needs at least {MIN_IMAGES}",
            details=[
                f"{len(paths)} image files were found",
                *(f"{image.file}: {image.reason}" for image in skipped[:5]),
            ],
            hint="a folder with more images, or leave --calib out to use the built-in photographs",
        )
    return CalibrationSet(str(folder), images, tuple(skipped), len(images))
