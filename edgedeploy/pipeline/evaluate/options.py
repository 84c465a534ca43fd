"""What an evaluation can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from edgedeploy.core.errors import UsageError
from edgedeploy.pipeline.bounds import MAX_SIDE, MAX_THREADS, check_bounds

MAX_IMAGES = 100_000_000


@dataclass(frozen=True)
class EvaluateOptions:
    """How a network is evaluated.

    Attributes:
        device: where an artifact runs, as `edgedeploy devices` names it.
        limit: at most this many images, as many of each class; None for all.
        metric: `file.py:function` of the user's, called as function(outputs, target) for each image; None for top-1 and
            top-5, or mIoU and pixel accuracy.
        model: the float network of an artifact of the user's own code: the name that it was exported by.
        weights: of the float network; by default the file that the manifest names.
        input_size: (height, width) for a float network alone; an artifact has its own.
        inputs: of a float network of the user's own code, alone.
        threads: of the artifact's runtime.
    """

    device: str = "local"
    limit: int | None = None
    metric: str | None = None
    model: str | None = None
    weights: str | Path | None = None
    input_size: tuple[int, int] | None = None
    inputs: Sequence[str] = ()
    threads: int = 1

    def __post_init__(self) -> None:
        check_bounds("--threads", self.threads, 1, MAX_THREADS)
        if self.limit is not None:
            check_bounds("--limit", self.limit, 1, MAX_IMAGES)
        for side in self.input_size or ():
            check_bounds("--input-size", side, 1, MAX_SIDE)

    def check_for_artifact(self) -> None:
        """Raises UsageError for options that only a float network alone has."""
        if self.input_size is not None or self.inputs:
            raise UsageError("an artifact has its own input size", hint="leave --input-size and --input out")

    def check_for_float(self) -> None:
        """Raises UsageError for options that only an artifact has."""
        if self.model is not None or self.device != "local":
            raise UsageError(
                "--device and --model are for artifacts; the float network runs on this machine",
                hint="export it first, then evaluate the artifact",
            )


class EvaluateKeywords(TypedDict, total=False):
    """The fields of EvaluateOptions as keyword arguments."""

    device: str
    limit: int | None
    metric: str | None
    model: str | None
    weights: str | Path | None
    input_size: tuple[int, int] | None
    inputs: Sequence[str]
    threads: int
