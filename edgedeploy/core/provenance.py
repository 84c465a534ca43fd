"""Provenance: everything that decided what is in an artifact's file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .recipe import QuantRecipe

WeightsKind = Literal["random", "checkpoint", "factory", "pretrained", "program"]


@dataclass(frozen=True)
class WeightsInfo:
    """Where a network's weights come from.

    Attributes:
        kind: "random" (seeded), "checkpoint" (a file), "factory" (as the user's code made them), "pretrained" (downloaded
            by timm or torchvision) or "program" (stored in a `.pt2` file).
        sha256: of the checkpoint's or program's file; else of all parameters and buffers.
        file: of a checkpoint or program.
        wrapper: the checkpoint's entry that held the weights, such as "state_dict_ema"; "" for none.
        library: "timm" or "torchvision".
        factory: as the user named it.
    """

    kind: WeightsKind
    sha256: str = ""
    seed: int | None = None
    num_classes: int | None = None
    file: str = ""
    wrapper: str = ""
    library: str = ""
    factory: str = ""


@dataclass(frozen=True)
class SkippedImage:
    """A calibration image that was not usable, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class CalibrationInfo:
    """Which inputs the activation ranges come from.

    Attributes:
        sha256: of all values, in order.
        warnings: what seems wrong with them, and what to do.
    """

    name: str
    count: int
    files: int
    sha256: str
    skipped: tuple[SkippedImage, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exactness:
    """What a rewrite promises.

    Attributes:
        kind: "exact" (bit for bit, or float rounding) or "approximate".
        relative_error: for real outputs, the largest error over the output's standard deviation.
        differing_share: for integer outputs (class labels), the share of values that may differ.
    """

    kind: Literal["exact", "approximate"]
    relative_error: float
    differing_share: float


@dataclass(frozen=True)
class Declined:
    """An operator that a rewrite left as it is: the module that it belongs to, its name, and the reason."""

    module: str
    operator: str
    reason: str


@dataclass(frozen=True)
class RewriteOutcome:
    """What a rewrite did to a network.

    Attributes:
        applied: how many times it was applied.
        relative_error, differing_share: as verified on this network, on real and on integer outputs.
        declined: where its pattern matched and it was not applied.
    """

    rewrite: str
    exactness: Exactness
    applied: int
    relative_error: float
    differing_share: float
    declined: tuple[Declined, ...] = ()


@dataclass(frozen=True)
class OperatorFact:
    """One operator of an artifact.

    Attributes:
        name: as the format names the operator or its first output.
        type: the format's name for the kind, such as "Conv" or "CONV_2D".
        module: path of the module that it came from in the original network; "" where that cannot be traced.
        delegated: it runs inside a delegate; None where the format has no delegates.
        dtype: of its first output, as numpy names it; "" where the format does not define it.
        delegate: the number of that delegate in the order of their execution; None outside of delegates.
        macs: multiply-accumulates of one inference; None for an artifact that was written without them.
        int8: these are of int8 values, as the file has it.
        depthwise: these are of a convolution with one input channel for each output channel.
        outside_because: why no delegate runs a layer or matrix product; "" for what a delegate runs, for other operators,
            and where the format has no delegates.
    """

    name: str
    type: str
    module: str = ""
    delegated: bool | None = None
    dtype: str = ""
    delegate: int | None = None
    macs: int | None = None
    int8: bool = False
    depthwise: bool = False
    outside_because: str = ""


@dataclass(frozen=True)
class GraphSummary:
    """An artifact's graph in numbers; `operators.json` beside the artifact has every operator.

    Attributes:
        operators: how many there are of each type, the most frequent first. For ExecuTorch those outside of delegates.
        delegates: how many delegate calls there are; None where the format has no delegates.
        opset: ONNX's, else None.
    """

    operators: Mapping[str, int]
    delegates: int | None = None
    opset: int | None = None


@dataclass(frozen=True)
class RecipeStep:
    """One step of a search for a recipe, measured in the real runtime.

    Attributes:
        change: what was added to the recipe: "plain" with what that leaves in float, a preparation, or "float32 MODULE".
        sqnr_db: of the recipe with it, on images that were not calibrated on; None for equal outputs.
        instructions: Arm instructions that it adds, where they are counted or bounded.
        accuracy: top-1 on labelled images, 0 to 1; None without any.
        drop: the float network's top-1 on them minus this one; None likewise.
        drop_error: the standard error of the drop; None likewise.
    """

    change: str
    sqnr_db: float | None
    instructions: int = 0
    accuracy: float | None = None
    drop: float | None = None
    drop_error: float | None = None

    @property
    def drop_in_points(self) -> str:
        """The drop with its standard error in percentage points, such as "0.32 ± 0.17"; "" without labelled images."""
        if self.drop is None or self.drop_error is None:
            return ""
        return f"{100 * self.drop:.2f} ± {100 * self.drop_error:.2f}"


@dataclass(frozen=True)
class RecipeSearch:
    """How a recipe was found.

    Attributes:
        goal: in words.
        met: whether it was reached.
        path: the steps that are in the recipe, in order.
        base_sqnr_db: of the recipe that exceptions are added to.
        sensitivity: each block of the network that helps as the only exception, the most helpful first.
        costs: where the instructions come from: an emulated CPU's name, or "bound" for the fewest that the arithmetic
            could take.
        plain_instructions: of the recipe without exceptions.
        exports: how many artifacts were made for the search.
    """

    goal: str
    met: bool
    path: tuple[RecipeStep, ...]
    base_sqnr_db: float | None
    sensitivity: tuple[RecipeStep, ...]
    costs: str
    plain_instructions: int
    exports: int


@dataclass(frozen=True)
class Provenance:
    """What made an artifact.

    Attributes:
        edgedeploy: the version.
        created_at: UTC, ISO 8601.
        source: paper, repository and commit of a network of the zoo; `model` and `file` of the user's own.
        head: "logits", "upsampled", "labels" or "features".
        quantizer_settings: the quantizer's own settings, in its own words; None for float.
        rounding_error: the error that float rounding alone may cause in this network, over the output's deviation.
        versions: of Python and every package that took part.
        search: how the recipe was found; None for one that was given.
    """

    edgedeploy: str
    created_at: str
    weights: WeightsInfo
    recipe: QuantRecipe
    source: Mapping[str, str] = field(default_factory=dict)
    head: str = "logits"
    calibration: CalibrationInfo | None = None
    rewrites: tuple[RewriteOutcome, ...] = ()
    rounding_error: float = 0.0
    quantizer_settings: Any = None
    graph: GraphSummary | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    search: RecipeSearch | None = None
