"""What an export can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from edgedeploy.core.errors import UnknownName, UsageError
from edgedeploy.pipeline.bounds import MAX_CALIBRATION_IMAGES, MAX_CLASSES, MAX_SIDE, check_bounds

from .minimum_runtime import check_min_runtime

if TYPE_CHECKING:
    from edgedeploy.exporters.targets import Target
    from edgedeploy.models.loading import LoadOptions

HEADS = ("logits", "upsampled", "labels", "features")
LAYOUTS = ("nhwc", "nchw")
CPUS = ("arm", "x86")
NUM_CALIB = 32


@dataclass(frozen=True)
class ExportOptions:
    """How a network is exported.

    Attributes:
        weights: a checkpoint's file or address, or "official"; without one a zoo network's weights are random, and the
            manifest records that.
        input_size: (height, width); by default the official weights' own.
        inputs: what a network of the user takes, such as "1x3x224x224" or "tokens=1x16:int64", one for each input.
        num_classes: of a network with random weights.
        head: of a segmentation network "logits", "upsampled" or "labels"; of a classification network "features": its
            four stage outputs.
        calib: a folder of images for int8 ranges, an .npz file with an array of samples for each input, or a folder of .npy
            files; by default crops of scikit-learn's photographs.
        num_calib: use at most this many of them.
        int8_io: inputs and outputs of static int8 artifacts are int8 too.
        layout: of images in tflite artifacts, "nhwc" or "nchw".
        tune_for: "arm" or "x86", the CPU whose kernels int8 is laid out for.
        allow_low_parity: keep an artifact whose parity misses its target's threshold.
        min_runtime: "tflite-2.14" refuses a tflite artifact that tflite-runtime 2.14.0 cannot load.
        without_rewrites: rewrites to leave out.
        output: the folder that artifacts are written to.
    """

    weights: str | Path | None = None
    input_size: tuple[int, int] | None = None
    inputs: Sequence[str] = ()
    num_classes: int | None = None
    head: str = "logits"
    calib: str | Path | None = None
    num_calib: int = NUM_CALIB
    int8_io: bool = False
    layout: str = "nhwc"
    tune_for: str = "arm"
    allow_low_parity: bool = False
    min_runtime: str | None = None
    without_rewrites: Sequence[str] = ()
    output: str | Path = "artifacts"

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise UnknownName("head", self.head, HEADS, hint=f"--head {', '.join(HEADS)}")
        if self.layout not in LAYOUTS:
            raise UnknownName("layout", self.layout, LAYOUTS, hint=f"--layout {', '.join(LAYOUTS)}")
        if self.tune_for not in CPUS:
            raise UnknownName("kind of CPU", self.tune_for, CPUS, hint=f"--tune-for {', '.join(CPUS)}")
        check_bounds("--num-calib", self.num_calib, 1, MAX_CALIBRATION_IMAGES)
        if self.num_classes is not None:
            check_bounds("--num-classes", self.num_classes, 1, MAX_CLASSES)
        for side in self.input_size or ():
            check_bounds("--input-size", side, 1, MAX_SIDE)
        check_min_runtime(self.min_runtime)

    def check_rewrites(self) -> None:
        """Raises UnknownName for a rewrite that does not exist. It is not checked earlier, since rewrites need torch."""
        if self.without_rewrites:
            from edgedeploy.models.rewrites import ALL

            for name in self.without_rewrites:
                _ = ALL[name]

    @property
    def load_options(self) -> LoadOptions:
        """The part that loading needs."""
        from edgedeploy.models.loading import LoadOptions

        return LoadOptions(self.weights, self.input_size, tuple(self.inputs), self.num_classes)

    def rewrites_of(self, target: Target) -> tuple[str, ...]:
        """The names of a target's rewrites, but those that were left out."""
        return tuple(name for name in target.rewrites if name not in self.without_rewrites)


class ExportKeywords(TypedDict, total=False):
    """The fields of ExportOptions as keyword arguments."""

    weights: str | Path | None
    input_size: tuple[int, int] | None
    inputs: Sequence[str]
    num_classes: int | None
    head: str
    calib: str | Path | None
    num_calib: int
    int8_io: bool
    layout: str
    tune_for: str
    allow_low_parity: bool
    min_runtime: str | None
    without_rewrites: Sequence[str]
    output: str | Path


def parse_input_size(text: str) -> tuple[int, int]:
    """`512x1024` (height x width) or `512`. Raises UsageError."""
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) in (1, 2) and all(
        part.strip().isdecimal() and 0 < len(part) < 10 and int(part) > 0 for part in parts
    ):
        return int(parts[0]), int(parts[-1])
    raise UsageError(f"'{text}' is not an input size", hint="height x width in pixels, such as 512x512")


def parse_targets(targets: str | Sequence[str]) -> tuple[Target, ...]:
    """Names of targets, in a list or with commas between them, each once. Raises UnknownName, UsageError."""
    from edgedeploy.exporters.targets import TARGETS

    names = targets.split(",") if isinstance(targets, str) else list(targets)
    chosen = tuple(dict.fromkeys(TARGETS[name] for name in names if name.strip()))
    if not chosen:
        raise UsageError("no target was named", hint=f"--target {TARGETS.names()[-1]}")
    return chosen
