"""Labelled images that a search judges recipes on: top-1 of the artifact beside that of the float network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedeploy.core.errors import UsageError, first_line
from edgedeploy.core.parity import Array
from edgedeploy.core.reporter import Reporter
from edgedeploy.core.storage.arrays import Mapped, chunks
from edgedeploy.data.labelled import LabelledImage, read_labelled_set
from edgedeploy.data.preprocessing import preprocess, read_image
from edgedeploy.pipeline.export import stages
from edgedeploy.pipeline.export.eager_outputs import golden_of

MAX_IMAGES = 4_096  # where one in fifty changes its label, the standard error is 0.2 points
CHUNK = 128  # that are in memory at a time

Samples = Sequence[Sequence[Array]]


@dataclass(frozen=True)
class Accuracy:
    """Top-1 of an artifact beside the float network's on the same images.

    Attributes:
        value: the share of images that the artifact has right, 0 to 1.
        drop: the float network's share minus this one.
        drop_error: the standard error of the drop. It comes from the images that only one of the two has right.
    """

    value: float
    drop: float
    drop_error: float

    def is_within(self, max_drop: float) -> bool:
        """Whether the drop and one standard error stay within what is allowed; other images bring another drop."""
        return self.drop + self.drop_error <= max_drop + 1e-9


@dataclass(frozen=True)
class LabelledImages:
    """Images of classes.

    Attributes:
        samples: as the network takes them; read from their files whenever they are asked for.
        labels: the class of each.
        float_right: whether the eager network has each right.
    """

    samples: Samples
    labels: tuple[int, ...]
    float_right: NDArray[np.bool_]

    def accuracy(self, run: Callable[[Samples], Samples]) -> Accuracy:
        """What `run` makes of the images; it takes samples and returns the outputs of each."""
        pieces = zip(chunks(self.samples, CHUNK), chunks(self.labels, CHUNK), strict=True)
        right = np.concatenate([_right(run(samples), labels) for samples, labels in pieces])
        lost, won = int((self.float_right & ~right).sum()), int((right & ~self.float_right).sum())
        count = len(right)
        drop = (lost - won) / count
        return Accuracy(float(right.mean()), drop, math.sqrt(lost + won - count * drop**2) / count)


def read_labelled(folder: Path, prepared: stages.PreparedNetwork, reporter: Reporter) -> LabelledImages:
    """The first images of a folder with a folder for each class, and what the float network makes of them.

    Damaged images are named and left out. Raises UsageError for other data, and for a network that does not classify
    images.
    """
    network = prepared.network
    size = network.image_size
    if size is None or network.task == "segmentation" or prepared.head != "logits":
        raise UsageError(
            f"--max-drop is about the top-1 of a network that classifies images, and {network.name} does not",
            hint="--min-sqnr DB, which needs no labels",
        )
    images = read_labelled_set(folder).first(MAX_IMAGES).images
    if any(image.label is None for image in images):
        raise UsageError(f"{folder} has no folder for each class", hint="--data DIR with DIR/<class>/<image>")

    def read(image: LabelledImage) -> list[Array]:
        return [preprocess(read_image(image.path), size, network.preprocessing)]

    sound: list[LabelledImage] = []
    right: list[NDArray[np.bool_]] = []
    for some in chunks(images, CHUNK):
        samples = _readable(some, read, reporter)
        if samples:
            outputs = golden_of(network, prepared.head, list(samples.values())).outputs
            right.append(_right(outputs, _labels(samples)))
            sound += samples
    if not sound:
        raise UsageError(f"none of the {len(images)} images of {folder} could be read")
    return LabelledImages(Mapped(read, sound), _labels(sound), np.concatenate(right))


def _readable(
    images: Sequence[LabelledImage], read: Callable[[LabelledImage], list[Array]], reporter: Reporter
) -> dict[LabelledImage, list[Array]]:
    samples = {}
    for image in images:
        try:
            samples[image] = read(image)
        except Exception as error:  # Pillow raises many kinds for a damaged file
            reporter.note(f"{image.name} is skipped: {first_line(error)}")
    return samples


def _labels(images: Iterable[LabelledImage]) -> tuple[int, ...]:
    return tuple(image.label for image in images if image.label is not None)


def _right(outputs: Samples, labels: Sequence[int]) -> NDArray[np.bool_]:
    """Whether the largest value of each sample's first output is at its label."""
    return np.array([int(np.argmax(sample[0])) == label for sample, label in zip(outputs, labels, strict=True)])
