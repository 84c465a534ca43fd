"""Labelled data sets: which image has which label, recognised by the layout of the folder.

    class folders   DIR/<class>/*.jpg                          a folder for each class
    ADE20K          DIR/images/validation/*.jpg  DIR/annotations/validation/*.png
    Cityscapes      DIR/leftImg8bit/val/<city>/*_leftImg8bit.png  DIR/gtFine/val/<city>/*_gtFine_labelTrainIds.png
    masks           DIR/images/**.jpg  DIR/masks/**.png        the value of a pixel is its class, 255 is ignored
    unlabelled      DIR/*.jpg

A folder's class: its name, where all names are whole numbers; else its line in DIR/classes.txt, where there is one; else
its position among the sorted names, as torchvision's ImageFolder has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgedeploy.core.errors import UsageError
from edgedeploy.core.spec import Preprocessing

from .preprocessing import check_image_file, place
from .sampling import by_folder, evenly, image_files

IGNORED = 255
CLASSES_FILE = "classes.txt"
# of Cityscapes' 34 label ids those that are evaluated, in the order of their 19 training ids
CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
Mask = NDArray[Any]


@dataclass(frozen=True)
class LabelledImage:
    """One image file with its label: `label` of a class, `mask` a file with the class of each pixel, or neither."""

    name: str
    path: Path
    label: int | None = None
    mask: Path | None = None


@dataclass(frozen=True)
class LabelledSet:
    """The images of a folder.

    Attributes:
        folder: as the user named it.
        layout: see the module's docstring.
        images: in an order of which every beginning has about as many of each class.
        sha256: of names, sizes and labels.
    """

    folder: Path
    layout: str
    images: tuple[LabelledImage, ...]
    sha256: str

    def first(self, count: int | None) -> LabelledSet:
        """The set with at most this many images."""
        return self if count is None else replace(self, images=self.images[:count])


def read_labelled_set(folder: Path, seed: int = 0) -> LabelledSet:
    """Lists a folder; no image is opened. Raises UsageError where it has none, or a mask is missing."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="--data DIR with labelled images")
    for layout, find in _FINDERS.items():
        groups = find(folder)
        if groups:
            images = tuple(evenly(groups, seed))
            return LabelledSet(folder, layout, images, _sha256(images))
    raise UsageError(f"{folder} holds no images", hint="a folder for each class, or images/ and masks/")


def read_mask(path: Path, layout: str, size: tuple[int, int], preprocessing: Preprocessing) -> Mask:
    """(h, w), the class of each pixel of the network's input as an unsigned integer; IGNORED where a pixel has none.

    The mask is resized and cropped as its image is, by nearest neighbour. Raises OSError or ValueError for a file that
    is no mask.
    """
    check_image_file(path)
    with Image.open(path) as image:
        image.load()
        if image.mode not in ("L", "P", "I", "I;16", "1"):
            raise ValueError(f"a mask of mode {image.mode}; its pixels must be class numbers, in one channel")
        values = np.asarray(image, dtype=np.int32)
        if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
            raise ValueError("a mask with values that are no class numbers")
        placed = np.asarray(place(Image.fromarray(values), size, preprocessing, Image.Resampling.NEAREST))
    if layout == "ADE20K":  # 0 is "other"
        return np.where(placed == 0, IGNORED, placed - 1).astype(np.uint8)
    if layout == "Cityscapes" and not path.stem.endswith("labelTrainIds"):
        return np.asarray(_cityscapes_table()[placed.clip(0, IGNORED)])
    return placed.astype(np.uint16)


def _cityscapes_table() -> NDArray[np.uint8]:
    table = np.full(IGNORED + 1, IGNORED, np.uint8)
    table[list(CITYSCAPES_IDS)] = np.arange(len(CITYSCAPES_IDS))
    return table


Groups = dict[str, list[LabelledImage]]


def _ade20k(folder: Path) -> Groups:
    images, masks = folder / "images" / "validation", folder / "annotations" / "validation"
    return _with_masks(folder, images, masks, lambda name: [f"{Path(name).with_suffix('')}.png"])


def _cityscapes(folder: Path) -> Groups:
    images, masks = folder / "leftImg8bit" / "val", folder / "gtFine" / "val"

    def names(name: str) -> list[str]:
        stem = str(Path(name).with_suffix("")).removesuffix("_leftImg8bit")
        return [f"{stem}_gtFine_labelTrainIds.png", f"{stem}_gtFine_labelIds.png"]

    return _with_masks(folder, images, masks, names)


def _plain_masks(folder: Path) -> Groups:
    def names(name: str) -> list[str]:
        stem = str(Path(name).with_suffix(""))
        return [f"{stem}{suffix}" for suffix in (".png", ".bmp", ".tif", ".tiff")]

    return _with_masks(folder, folder / "images", folder / "masks", names)


def _with_masks(folder: Path, images: Path, masks: Path, names: Callable[[str], list[str]]) -> Groups:
    if not (images.is_dir() and masks.is_dir()):
        return {}
    found, missing = [], []
    for path in image_files(images):
        candidates = [masks / name for name in names(str(path.relative_to(images)))]
        mask = next((candidate for candidate in candidates if candidate.is_file()), None)
        if mask is None:
            missing.append(f"{path.relative_to(folder)} has no {candidates[0].relative_to(folder)}")
        else:
            found.append(LabelledImage(str(path.relative_to(folder)), path, mask=mask))
    if missing:
        raise UsageError(
            f"{len(missing)} images in {images} have no mask",
            details=missing[:5],
            hint="a mask has the image's name and the ending .png",
        )
    return {"": found} if found else {}


def _class_folders(folder: Path) -> Groups:
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    files = {name: image_files(folder / name) for name in names}
    if not any(files.values()):
        return {}
    labels = _labels(folder, names)
    return {
        name: [LabelledImage(str(path.relative_to(folder)), path, labels[name]) for path in paths]
        for name, paths in files.items()
        if paths
    }


def _labels(folder: Path, names: Sequence[str]) -> dict[str, int]:
    if all(name.isdecimal() for name in names):
        return {name: int(name) for name in names}
    listed = folder / CLASSES_FILE
    if not listed.is_file():
        return {name: index for index, name in enumerate(names)}
    lines = [line.strip() for line in listed.read_text(encoding="utf-8", errors="replace").splitlines()]
    order = {line: index for index, line in enumerate(lines) if line}
    unknown = [name for name in names if name not in order]
    if unknown:
        raise UsageError(
            f"{listed} does not list {len(unknown)} of the folders beside it",
            details=[", ".join(unknown[:5])],
            hint="one folder's name a line, in the order of the network's classes",
        )
    return {name: order[name] for name in names}


def _unlabelled(folder: Path) -> Groups:
    grouped = by_folder(image_files(folder))
    return {
        name: [LabelledImage(str(path.relative_to(folder)), path) for path in paths] for name, paths in grouped.items()
    }


_FINDERS: dict[str, Callable[[Path], Groups]] = {
    "ADE20K": _ade20k,
    "Cityscapes": _cityscapes,
    "masks": _plain_masks,
    "class folders": _class_folders,
    "unlabelled": _unlabelled,
}


def _sha256(images: Sequence[LabelledImage]) -> str:
    digest = hashlib.sha256()
    for image in sorted(images, key=lambda image: image.name):
        sizes = [path.stat().st_size for path in (image.path, image.mask) if path is not None]
        digest.update(f"{image.name}\0{sizes}\0{image.label}\n".encode())
    return digest.hexdigest()
