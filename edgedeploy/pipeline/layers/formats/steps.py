"""What the files of all formats have in common when they are run operator by operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from edgedeploy.core.parity import Array


@dataclass(frozen=True)
class Step:
    """One operator of a file, with the conversions between float and integers that belong to it.

    Attributes:
        name: as the format names the operator or its first output; unique in the file.
        type: the format's name for the kind.
        module: the path of its module in the original network; "" where that is not known.
        inputs, outputs: names of tensors that depend on the network's inputs.
    """

    name: str
    type: str
    module: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


RunStep = Callable[[Sequence[Array]], list[Array]]


class StepFile(Protocol):
    """A file whose operators can be run one by one in its real runtime.

    All values are real numbers in the file's own order of dimensions: integers with a scale are converted on the way in and
    out. Tensors that are no real numbers (indices, shapes, masks) keep their type.

    Attributes:
        steps: in an order in which they can run.
        inputs, outputs: names of the network's.
        input_shapes: of its inputs; 1 where a length is not fixed.
    """

    steps: Sequence[Step]
    inputs: Sequence[str]
    outputs: Sequence[str]
    input_shapes: Sequence[tuple[int, ...]]

    def opened(self, step: Step, values: Sequence[Array]) -> RunStep:
        """The step alone, ready to run. `values` have the shapes and types of all that follow."""

    def limits(self, tensor: str) -> tuple[float, float] | None:
        """The smallest and the largest number that a tensor can hold; None for float."""


def quantized(values: Array, scale: float, zero_point: int, dtype: np.dtype[Any]) -> Array:
    """Real values as integers: round(x / scale) + zero_point, clamped."""
    limits = np.iinfo(dtype)
    stored: Array = np.clip(np.rint(values / scale) + zero_point, limits.min, limits.max).astype(dtype)
    return stored


def dequantized(stored: Array, scale: float, zero_point: int) -> Array:
    """The inverse, in float32."""
    real: Array = (stored.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    return real


def limits_of(scale: float, zero_point: int, dtype: np.dtype[Any]) -> tuple[float, float]:
    """The smallest and the largest real number that such integers stand for."""
    ends = np.iinfo(dtype)
    return (ends.min - zero_point) * scale, (ends.max - zero_point) * scale
