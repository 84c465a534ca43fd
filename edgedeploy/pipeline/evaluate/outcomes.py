"""What is kept of each image: enough for every figure and its interval, and small enough to keep for all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedeploy.core.errors import ModelInvalid, UsageError
from edgedeploy.core.parity import Array
from edgedeploy.data.labelled import IGNORED

Target = int | NDArray[Any] | Path  # a class, the class of each pixel, or the image where there is no label
Metric = Callable[[list[Array], Target], float]


@dataclass(frozen=True)
class PixelCounts:
    """Pixels of each class in one image, without ignored ones.

    Attributes:
        matched: labelled as the class and found as it.
        found: found as it.
        labelled: labelled as it.
    """

    matched: tuple[int, ...]
    found: tuple[int, ...]
    labelled: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """What one network reached on one image.

    Attributes:
        rank: how many classes came before the right one; of images with a label.
        pixels: of images with a mask.
        value: of the user's metric.
    """

    rank: int | None = None
    pixels: PixelCounts | None = None
    value: float | None = None


@dataclass(frozen=True)
class ImageResult:
    """One image.

    Attributes:
        outcome: None where the image was skipped.
        float_outcome: of the float network beside it, if there is one.
        agreement: share of the image's labels (one, or one a pixel) that both networks give; None without a second one.
        skipped: why, or "".
    """

    name: str
    outcome: Outcome | None = None
    float_outcome: Outcome | None = None
    agreement: float | None = None
    skipped: str = ""


@dataclass(frozen=True)
class Judge:
    """Turns a network's outputs for one image into its outcome.

    Attributes:
        size: (height, width) of the network's input, at which pixels are compared.
        metric: the user's; None for the built-in ones.
        code_folder: where the metric's code finds the modules that it imports.
    """

    size: tuple[int, int]
    metric: Metric | None = None
    code_folder: Path | None = None

    def outcome(self, outputs: list[Array], target: Target) -> Outcome:
        """Raises UsageError where outputs and labels do not fit, ModelInvalid for the user's metric."""
        if self.metric is not None:
            return Outcome(value=self._value(self.metric, outputs, target))
        if isinstance(target, Path):
            return Outcome()
        if isinstance(target, int):
            return Outcome(rank=rank_of(_class_scores(outputs), target))
        labels = self.labels(outputs)
        if labels is None or labels.shape != target.shape:
            raise UsageError(
                f"the data has a class for each pixel, and the network returns {_shapes(outputs)}",
                hint="a segmentation network; or --metric FILE.py:FUNCTION for another task",
            )
        classes = outputs[0].shape[1] if outputs[0].ndim == 4 else None
        return Outcome(pixels=count_pixels(labels, target, classes))

    def labels(self, outputs: Sequence[Array]) -> NDArray[np.int64] | None:
        """The class (1,) or the class of each pixel (h, w) at the input's size; None where the outputs are neither."""
        output = outputs[0]
        if output.ndim == 2 and len(output) == 1:
            return np.asarray(output.argmax(axis=1))
        if output.ndim == 4 and len(output) == 1:
            return np.asarray(resize_bilinear(output[0].astype(np.float32), self.size).argmax(axis=0))
        if output.ndim == 3 and len(output) == 1 and np.issubdtype(output.dtype, np.integer):
            return np.asarray(output[0], dtype=np.int64)
        return None

    def agreement(self, outputs: Sequence[Array], others: Sequence[Array]) -> float | None:
        """The share of labels that both outputs give; None where they have no labels."""
        mine, theirs = self.labels(outputs), self.labels(others)
        return None if mine is None or theirs is None else float(np.mean(mine == theirs))

    def _value(self, metric: Metric, outputs: list[Array], target: Target) -> float:
        from edgedeploy.models.loading.user_code import describe_exception, running_user_code, user_line_of

        try:
            with running_user_code(self.code_folder) if self.code_folder else contextlib.nullcontext():
                value = float(metric(outputs, target))
        except (Exception, SystemExit) as error:
            raise ModelInvalid(
                "the metric failed",
                details=[*user_line_of(error), describe_exception(error)],
                hint="it is called as metric(outputs, target) and returns a number for one image",
            ) from error
        if not np.isfinite(value):
            raise ModelInvalid(f"the metric returned {value}", hint="a finite number for each image")
        return value


def rank_of(scores: Array, label: int) -> int:
    """How many classes come before the right one; of equal scores the first comes first, as argmax has it.

    A right class whose score is not finite comes last. Raises UsageError for a label that the network does not know.
    """
    if label >= len(scores):
        raise UsageError(
            f"the data has a class number {label}, and the network knows {len(scores)} classes, from 0",
            hint="name the class folders by their numbers, or list them in classes.txt in the network's order",
        )
    own = scores[label]
    if not np.isfinite(own):
        return len(scores) - 1
    return int((scores > own).sum() + (scores[:label] == own).sum())


def count_pixels(labels: NDArray[Any], target: NDArray[Any], classes: int | None) -> PixelCounts:
    """Counts by class. Raises UsageError for a mask with a class that the network does not know."""
    known = target != IGNORED
    found, true = labels[known].astype(np.int64), target[known].astype(np.int64)
    largest = int(true.max(initial=0))
    if classes is not None and largest >= classes:
        raise UsageError(
            f"a mask has the class {largest}, and the network knows {classes}, from 0",
            hint=f"{IGNORED} marks pixels that have no class",
        )
    length = 1 + max(largest, int(found.max(initial=0)))
    counted = [np.bincount(values, minlength=length) for values in (true[found == true], found, true)]
    matched, predicted, labelled = (tuple(map(int, counts)) for counts in counted)
    return PixelCounts(matched, predicted, labelled)


def resize_bilinear(maps: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(C, h, w) to (C, *size), as torch's bilinear `interpolate` with align_corners=False."""
    if maps.shape[1:] == size:
        return maps
    for axis, length in ((1, size[0]), (2, size[1])):
        if maps.shape[axis] == length:
            continue
        position = ((np.arange(length) + 0.5) * (maps.shape[axis] / length) - 0.5).clip(0).astype(np.float32)
        first = position.astype(np.int64)
        second = np.minimum(first + 1, maps.shape[axis] - 1)
        weight = (position - first).reshape((-1, 1) if axis == 1 else (1, -1))
        maps = maps.take(first, axis) * (1 - weight) + maps.take(second, axis) * weight
    return maps


def _class_scores(outputs: Sequence[Array]) -> Array:
    output = outputs[0]
    if output.ndim != 2 or len(output) != 1:
        raise UsageError(
            f"the data has a class for each image, and the network returns {_shapes(outputs)}",
            hint="a classification network; or --metric FILE.py:FUNCTION for another task",
        )
    scores: Array = output[0]
    return scores


def _shapes(outputs: Sequence[Array]) -> str:
    return ", ".join("x".join(map(str, output.shape)) for output in outputs)
