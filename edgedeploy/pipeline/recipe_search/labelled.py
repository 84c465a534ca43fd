"""Labelled images that a search judges recipes on: top-1 of the artifact beside that of the float network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgedeploy.core.errors import UsageError
from edgedeploy.core.parity import Array
from edgedeploy.data.labelled import read_labelled_set
from edgedeploy.data.preprocessing import preprocess, read_image
from edgedeploy.pipeline.export import stages

MAX_IMAGES = 512  # they are kept in memory: 300 MB at 224x224


@dataclass(frozen=True)
class LabelledImages:
    """Images of classes.

    Attributes:
        inputs: as the network takes them.
        labels: the class of each.
        float_accuracy: the eager network's share of right answers, 0 to 1.
    """

    inputs: list[list[Array]]
    labels: tuple[int, ...]
    float_accuracy: float

    def accuracy(self, outputs: Sequence[Sequence[Array]]) -> float:
        """The share of images whose largest first output is that of their class, 0 to 1."""
        return top1(outputs, self.labels)


def top1(outputs: Sequence[Sequence[Array]], labels: Sequence[int]) -> float:
    """The share of samples whose largest value in the first output is at the label."""
    return float(np.mean([int(np.argmax(sample[0])) == label for sample, label in zip(outputs, labels, strict=True)]))


def read_labelled(folder: Path, prepared: stages.PreparedNetwork) -> LabelledImages:
    """The first images of a folder with a folder for each class, and what the float network makes of them.

    Raises UsageError for other data, and for a network that does not classify images.
    """
    network = prepared.network
    if network.image_size is None or network.task == "segmentation" or prepared.head != "logits":
        raise UsageError(
            f"--max-drop is about the top-1 of a network that classifies images, and {network.name} does not",
            hint="--min-sqnr DB, which needs no labels",
        )
    found = read_labelled_set(folder).first(MAX_IMAGES).images
    labels = tuple(image.label for image in found if image.label is not None)
    if len(labels) < len(found):
        raise UsageError(f"{folder} has no folder for each class", hint="--data DIR with DIR/<class>/<image>")
    inputs: list[list[Array]] = [
        [preprocess(read_image(image.path), network.image_size, network.preprocessing)] for image in found
    ]
    reference = stages.golden_of(network, prepared.head, inputs)
    return LabelledImages(inputs, labels, top1(reference.outputs, labels))
