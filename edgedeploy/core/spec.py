"""What a network is, before any tool has touched it: ModelSpec, and the facts that belong to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import InputSizeRefused

if TYPE_CHECKING:
    import torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a network or of an artifact.

    Attributes:
        name: the runtime's name for it.
        shape: all dimensions, batch first.
        dtype: numpy's name, such as "float32", "int8".
        layout: "NCHW", "NHWC" or "" where it is no image.
        scale, zero_point: of an integer tensor that stands for real = scale * (stored - zero_point); else None.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    layout: str = ""
    scale: float | None = None
    zero_point: int | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole tensor."""
        import numpy as np

        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the network's input: true of the weights, not of the architecture.

    The image is read as RGB, its shorter side is resized to input / crop_pct, the centre is cropped, values are scaled
    to 0..1, then (value - mean) / std per channel.
    """

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    color_order: str = "RGB"
    crop_pct: float = 1.0
    interpolation: str = "bilinear"


@dataclass(frozen=True)
class Source:
    """Where an architecture comes from. `reading` says what is this project's own reading, where the paper is silent."""

    title: str
    paper: str
    repository: str = ""
    commit: str = ""
    licence_code: str = ""
    licence_weights: str = ""
    weights_url: str = ""
    reading: str = ""


@dataclass(frozen=True)
class ModelSpec:
    """A named variant of a family.

    Attributes:
        name: as typed, with dashes: "topformer-tiny".
        family: the family's name, which is also its file in `models/`.
        task: "classification" or "segmentation".
        build: makes the module in eval mode with torch's default initialisation; takes `num_classes`.
        build_from_checkpoint: the same for families in which a checkpoint's shapes decide something that the variant's
            name does not; takes the checkpoint's state_dict and the class count.
        num_classes: of the official weights.
        input_size: (height, width) of the official weights.
        parameters: trainable parameters, exactly.
        source: paper, code, licences.
        classifier: name of the module whose first dimension is the class count.
        size_multiple: both input sides must be multiples of this.
        macs: multiply-accumulates of convolutions, linear layers and matrix products at `input_size`.
        preprocessing: of the official weights.
    """

    name: str
    family: str
    task: str
    build: Callable[..., torch.nn.Module]
    num_classes: int
    input_size: tuple[int, int]
    parameters: int
    source: Source
    classifier: str = ""
    size_multiple: int = 32
    macs: int | None = None
    preprocessing: Preprocessing = Preprocessing()
    build_from_checkpoint: Callable[[Mapping[str, Any], int | None], torch.nn.Module] | None = None
    # Turns a checkpoint's entries into this project's keys, after the common prefixes are gone.
    adapt_state_dict: Callable[[dict[str, Any], torch.nn.Module], dict[str, Any]] | None = None

    def __str__(self) -> str:
        return self.name

    def input_shape(self, size: tuple[int, int] | None = None) -> tuple[int, int, int, int]:
        """NCHW shape for an input size, by default the official one. Raises InputSizeRefused."""
        height, width = size or self.input_size
        m = self.size_multiple
        if height <= 0 or width <= 0 or height % m or width % m:
            near = [max(m, round(side / m) * m) for side in (height, width)]
            raise InputSizeRefused(
                f"{self.name} cannot take an input of {height}x{width}",
                details=[f"both sides must be multiples of {m}"],
                hint=f"--input-size {near[0]}x{near[1]}",
            )
        return (1, 3, height, width)
