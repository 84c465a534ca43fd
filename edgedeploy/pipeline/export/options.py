"""What an export can be asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from edgedeploy.core.errors import UnknownName, UsageError
from edgedeploy.pipeline.bounds import MAX_CALIBRATION_IMAGES, MAX_CLASSES, MAX_SIDE, MAX_SQNR_DB, check_bounds

from .minimum_runtime import check_min_runtime

if TYPE_CHECKING:
    from edgedeploy.core.recipe import QuantRecipe
    from edgedeploy.exporters.targets import Target
    from edgedeploy.models.loading import LoadOptions

HEADS = ("logits", "upsampled", "labels", "features")
LAYOUTS = ("nhwc", "nchw")
CPUS = ("arm", "x86")
NUM_CALIB = 32
AUTO = "auto"
DEFAULT_MIN_SQNR_DB = 25.0  # of `auto`


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
        tune_for: "arm" or "x86", the CPU that the artifact is for.
        allow_low_parity: keep an artifact whose parity misses its target's threshold.
        min_runtime: "tflite-2.14" refuses a tflite artifact that tflite-runtime 2.14.0 cannot load.
        without_rewrites: rewrites to leave out.
        recipe: a built-in recipe's name or a recipe's file, instead of the target's own; "auto" searches for one.
        exclude: patterns of module paths that stay in float32.
        optimize_rounding: whether weights are rounded to int8 together; by default as the recipe says.
        min_sqnr_db: for the recipe "auto": the SQNR to reach on images that were not calibrated on.
        max_drop: for the recipe "auto" instead: how far top-1 may fall below the float network's, such as "0.5%".
        data: for `max_drop`: labelled images, a folder for each class.
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
    recipe: str | Path | None = None
    exclude: Sequence[str] = ()
    optimize_rounding: bool | None = None
    min_sqnr_db: float | None = None
    max_drop: str | None = None
    data: str | Path | None = None
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
        for option, value in (("--min-sqnr", self.min_sqnr_db), ("--max-drop", self.max_drop), ("--data", self.data)):
            if value is not None and not self.is_searched:
                raise UsageError(f"{option} is the goal of a search for a recipe", hint="--recipe auto")
        if self.min_sqnr_db is not None:
            check_bounds("--min-sqnr", self.min_sqnr_db, 0, MAX_SQNR_DB)
        if (self.max_drop is None) != (self.data is None):
            raise UsageError("--max-drop is a drop of top-1 on labelled images: it and --data DIR go together")
        if self.max_drop is not None:
            if self.min_sqnr_db is not None:
                raise UsageError("a search has one goal, --min-sqnr or --max-drop")
            parse_drop(self.max_drop)

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

    @property
    def is_searched(self) -> bool:
        """Whether the recipe is to be searched for."""
        return self.recipe is not None and str(self.recipe) == AUTO

    @property
    def _about_int8(self) -> str:
        """The option, if there is one, that a float target cannot follow."""
        if self.is_searched:
            return f"--recipe {self.recipe}"
        if self.exclude:
            return f"--exclude {' '.join(self.exclude)}"
        return "" if self.optimize_rounding is None else "--optimize-rounding"

    def rewrites_of(self, target: Target) -> tuple[str, ...]:
        """The names of a target's rewrites, but those that were left out."""
        return tuple(name for name in target.rewrites if name not in self.without_rewrites)

    def targets(self, names: str | Sequence[str]) -> tuple[Target, ...]:
        """Targets by name with the recipes that were asked for.

        Raises UnknownName, UsageError, and RecipeInvalid for a recipe that a target's runtime cannot follow.
        """
        from edgedeploy.core.recipes import load_recipe

        given = None if self.recipe is None or self.is_searched else load_recipe(self.recipe)
        return tuple(self._with_recipe(target.tuned_for(self.tune_for), given) for target in parse_targets(names))

    def _with_recipe(self, target: Target, given: QuantRecipe | None) -> Target:
        from edgedeploy.core.recipe import Preparation
        from edgedeploy.exporters.recipes import quantization_of

        asked = self._about_int8
        if asked and not target.recipe.is_quantized:
            raise UsageError(
                f"{asked} is about int8, and {target} is a float target", hint=f"--target {target.backend}-int8"
            )
        if given is not None and given.is_quantized != target.recipe.is_quantized:
            kinds = ("int8", "float") if given.is_quantized else ("float", "int8")
            raise UsageError(
                f"recipe {given} computes in {kinds[0]}, and {target} is a target in {kinds[1]}",
                hint=f"--target {target.backend}-{'int8' if given.is_quantized else 'fp32'}",
            )
        recipe = given or target.recipe
        adjusted = recipe.excluding(*self.exclude)
        if self.optimize_rounding is not None:
            adjusted = adjusted.preparing(Preparation.OPTIMIZE_ROUNDING, wanted=self.optimize_rounding)
        if adjusted != recipe:
            recipe = dataclasses.replace(adjusted, name=f"{recipe}-adjusted")
        quantization_of(recipe, target.backend)
        return dataclasses.replace(target, recipe=recipe)


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
    recipe: str | Path | None
    exclude: Sequence[str]
    optimize_rounding: bool | None
    min_sqnr_db: float | None
    max_drop: str | None
    data: str | Path | None
    output: str | Path


def parse_input_size(text: str) -> tuple[int, int]:
    """`512x1024` (height x width) or `512`. Raises UsageError."""
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) in (1, 2) and all(
        part.strip().isdecimal() and 0 < len(part) < 10 and int(part) > 0 for part in parts
    ):
        return int(parts[0]), int(parts[-1])
    raise UsageError(f"'{text}' is not an input size", hint="height x width in pixels, such as 512x512")


def parse_drop(text: str) -> float:
    """`0.5%` as a share, 0.005. Raises UsageError."""
    number = text.strip().removesuffix("%").strip()
    try:
        drop = float(number) / 100
    except ValueError:
        drop = -1.0
    if not text.strip().endswith("%") or not 0 <= drop < 1:
        raise UsageError(
            f"'{text}' is not a drop of top-1",
            details=["an SQNR has no drop: the float network's own is infinite"] if "db" in text.lower() else [],
            hint="--max-drop 0.5% with --data DIR, or --min-sqnr 25, which needs no labels",
        )
    return drop


def parse_targets(targets: str | Sequence[str]) -> tuple[Target, ...]:
    """Names of targets, in a list or with commas between them, each once. Raises UnknownName, UsageError."""
    from edgedeploy.exporters.targets import TARGETS

    names = targets.split(",") if isinstance(targets, str) else list(targets)
    chosen = tuple(dict.fromkeys(TARGETS[name] for name in names if name.strip()))
    if not chosen:
        raise UsageError("no target was named", hint=f"--target {TARGETS.names()[-1]}")
    return chosen
