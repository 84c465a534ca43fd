"""Which files stand for a folder of classes: a seeded draw that takes the same number from each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from .preprocessing import EXTENSIONS

T = TypeVar("T")


def image_files(folder: Path) -> list[Path]:
    """All image files below a folder, by name; hidden ones are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file()
    )


def by_folder(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Files grouped by the folder that they lie in."""
    groups: dict[str, list[Path]] = {}
    for path in paths:
        groups.setdefault(str(path.parent), []).append(path)
    return groups


def evenly(groups: Mapping[str, Sequence[T]], seed: int = 0) -> list[T]:
    """All items in an order of which every beginning has about as many from each group.

    Within a group the order is seeded, and in each turn so is that of the groups: the first items are neither those whose
    names come first nor those of the classes whose names do.
    """
    rng = np.random.default_rng(seed)
    shuffled = [[groups[name][index] for index in rng.permutation(len(groups[name]))] for name in sorted(groups)]
    order: list[T] = []
    for turn in range(max(map(len, shuffled), default=0)):
        left = [group for group in shuffled if turn < len(group)]
        order += [left[index][turn] for index in rng.permutation(len(left))]
    return order
