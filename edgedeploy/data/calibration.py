"""CalibrationSet: the images that activation ranges are taken from, named, counted and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedeploy.core.errors import CalibrationInvalid, first_line
from edgedeploy.core.provenance import CalibrationInfo, SkippedImage
from edgedeploy.core.spec import Preprocessing
from edgedeploy.core.storage.arrays import StoredArrays

from .preprocessing import check_image_file, preprocess, read_image
from .sampling import by_folder, evenly, image_files

Progress = Callable[[int, int], None]  # usable images so far, images wanted

MIN_IMAGES = 8  # with fewer, one odd image decides the ranges


@dataclass(frozen=True)
class CalibrationSet:
    """Preprocessed inputs.

    Attributes:
        name: where they come from, in words.
        images: (1, 3, h, w) float32 each; those of a folder are in a temporary file and not all in memory.
        skipped: files that were not usable, and why.
        files: how many image files were read.
        is_of_the_user: they are from a folder that the user named.
    """

    name: str
    images: Sequence[NDArray[np.float32]]
    skipped: tuple[SkippedImage, ...] = ()
    files: int = 0
    is_of_the_user: bool = False

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
    """`count` usable images of a folder and its subfolders, preprocessed as the model wants them.

    They are drawn with a fixed seed, as many from each subfolder: neither the first by name nor the first classes. A
    damaged image is skipped and named. Raises CalibrationInvalid when fewer than 8 are usable.
    """
    if not folder.is_dir():
        raise CalibrationInvalid(f"{folder} is not a folder", hint="--calib DIR with a folder of images")
    paths = evenly(by_folder(image_files(folder)))
    images = StoredArrays()
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
            skipped.append(SkippedImage(name, first_line(error)))
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
    return CalibrationSet(str(folder), images, tuple(skipped), len(images), is_of_the_user=True)
