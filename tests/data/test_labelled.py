"""Labelled sets: which layout a folder has, which label an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgedeploy.core.errors import UsageError
from edgedeploy.core.spec import Preprocessing
from edgedeploy.data.labelled import IGNORED, read_labelled_set, read_mask
from edgedeploy.data.sampling import evenly


def save(path: Path, value: int = 0, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (8, 12, 3) if mode == "RGB" else (8, 12)
    Image.fromarray(np.full(shape, value, np.uint8)).save(path)


def labels_of(folder: Path) -> dict[str, int | None]:
    return {image.name: image.label for image in read_labelled_set(folder).images}


def test_class_folders_are_numbered_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("dog", "ant", "cat"):
        save(tmp_path / name / "1.png")
    assert labels_of(tmp_path) == {"ant/1.png": 0, "cat/1.png": 1, "dog/1.png": 2}


def test_a_folder_whose_name_is_a_number_is_that_class(tmp_path: Path) -> None:
    for name in ("7", "0010"):
        save(tmp_path / name / "1.png")
    assert labels_of(tmp_path) == {"7/1.png": 7, "0010/1.png": 10}


def test_classes_txt_gives_the_order_of_the_classes(tmp_path: Path) -> None:
    save(tmp_path / "ant" / "1.png")
    (tmp_path / "classes.txt").write_text("dog\nant\n")
    assert labels_of(tmp_path) == {"ant/1.png": 1}
    save(tmp_path / "bee" / "1.png")
    with pytest.raises(UsageError, match="does not list 1 of the folders"):
        labels_of(tmp_path)


@pytest.mark.parametrize(
    ("layout", "image", "mask"),
    [
        ("ADE20K", "images/validation/a.jpg", "annotations/validation/a.png"),
        (
            "Cityscapes",
            "leftImg8bit/val/ulm/ulm_1_leftImg8bit.png",
            "gtFine/val/ulm/ulm_1_gtFine_labelIds.png",
        ),
        ("masks", "images/train/a.jpg", "masks/train/a.png"),
    ],
)
def test_the_layouts_with_masks_are_recognised(tmp_path: Path, layout: str, image: str, mask: str) -> None:
    save(tmp_path / image)
    save(tmp_path / mask, mode="L")
    found = read_labelled_set(tmp_path)
    assert found.layout == layout
    assert [(i.name, i.mask) for i in found.images] == [(image, tmp_path / mask)]


@pytest.mark.parametrize(
    ("layout", "name", "stored", "label"),
    [
        ("ADE20K", "a.png", 0, IGNORED),
        ("ADE20K", "a.png", 150, 149),
        ("Cityscapes", "a_gtFine_labelIds.png", 26, 13),  # car
        ("Cityscapes", "a_gtFine_labelIds.png", 4, IGNORED),
        ("Cityscapes", "a_gtFine_labelTrainIds.png", 13, 13),
        ("masks", "a.png", 3, 3),
    ],
)
def test_a_masks_values_become_the_networks_classes(
    tmp_path: Path, layout: str, name: str, stored: int, label: int
) -> None:
    save(tmp_path / name, stored, "L")
    assert np.unique(read_mask(tmp_path / name, layout, (8, 8), Preprocessing())).tolist() == [label]


def test_a_mask_is_cropped_as_its_image_is(tmp_path: Path) -> None:
    """8x12 to 8x8: the two columns at each side are cut off, and no value is invented between two classes."""
    values = np.repeat(np.arange(12, dtype=np.uint8)[None], 8, axis=0)
    Image.fromarray(values).save(tmp_path / "a.png")
    mask = read_mask(tmp_path / "a.png", "masks", (8, 8), Preprocessing())
    assert mask[0].tolist() == list(range(2, 10))


def test_a_coloured_mask_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="in one channel"):
        read_mask(tmp_path / "a.png", "masks", (8, 8), Preprocessing())


def test_a_missing_mask_is_named(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png")
    (tmp_path / "masks").mkdir()
    with pytest.raises(UsageError, match=r"1 images in .* have no mask"):
        read_labelled_set(tmp_path)


def test_images_without_folders_are_unlabelled(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    found = read_labelled_set(tmp_path)
    assert (found.layout, found.images[0].label, found.images[0].mask) == ("unlabelled", None, None)


def test_every_beginning_has_as_many_of_each_class(tmp_path: Path) -> None:
    groups = {"a": list(range(100)), "b": list(range(100, 103)), "c": list(range(200, 300))}
    order = evenly(groups, seed=1)
    assert sorted(order) == [*range(103), *range(200, 300)]
    assert sorted(item // 100 for item in order[:9]) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert order == evenly(groups, seed=1) != evenly(groups, seed=2)
    assert order[:3] != [0, 100, 200]
