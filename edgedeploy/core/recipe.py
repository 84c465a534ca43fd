"""QuantRecipe: how numbers are stored and computed, as ordered rules under a name that can be decoded.

A name is `<when>_w<weights>_a<activations>`; `fp32` alone means that nothing is quantized.

    fp32                        all in float32
    weight_only_wfp16_afp32     weights stored in half precision, all computed in float32: half the size, same speed
    dynamic_wi8_afp32           int8 weights, activations quantized on the fly by each operator: no calibration,
                                a quarter of the size; often slower than static on a phone
    static_wi8_ai8              int8 weights (one scale per output channel) and int8 activations with ranges fixed by
                                calibration: smallest and fastest, the one that can lose accuracy
    static_wi8_au8              the same with uint8 activations, which ONNX Runtime's x86 kernels are made for

The names follow ai-edge-quantizer, so that they mean the same in an issue of either project.

A recipe's rules are read in order and the last one that matches an operator decides. The first rule matches everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase


class NumberFormat(Enum):
    """How an operator's weights and activations are stored and computed."""

    FLOAT32 = "float32"
    FLOAT16_WEIGHTS = "float16_weights"
    DYNAMIC_INT8 = "dynamic_int8"
    STATIC_INT8 = "static_int8"
    STATIC_UINT8_ACTIVATIONS = "static_uint8_activations"

    @property
    def is_static(self) -> bool:
        """Whether activations have ranges that are fixed beforehand."""
        return self in (NumberFormat.STATIC_INT8, NumberFormat.STATIC_UINT8_ACTIVATIONS)


class Observer(Enum):
    """How an activation's range is taken from calibration samples."""

    MIN_MAX = "min_max"


class Region(Enum):
    """Parts of a graph that belong together; exporters/regions finds them."""

    NORMALIZATION = "normalization"  # from the squares of an L2 norm or a LayerNorm to the last product with its scale
    DIVISION = "division"  # quotients of computed values, their divisors, and the matrix products that are divided
    DISTRIBUTION = "distribution"  # softmax that is no attention, or is masked: its values need more than 256 steps
    LABEL_SELECTION = "label_selection"  # from the last layer with weights to the class labels


@dataclass(frozen=True)
class Scope:
    """Which operators a rule is about; an empty field matches all.

    Attributes:
        module: pattern of module paths, such as "backbone.stages.3.*" (`*` and `?` as in file names).
        operator: the operator's type as the format names it, with the same wildcards: "Conv", "BATCH_MATMUL", "aten.bmm*".
        region: a part of the graph.
    """

    module: str = ""
    operator: str = ""
    region: Region | None = None

    def matches(self, operator: str, module: str, region: Region | None) -> bool:
        """Whether an operator of this type, from this module and in this region, is meant."""
        return (
            (not self.module or fnmatchcase(module, self.module))
            and (not self.operator or fnmatchcase(operator, self.operator))
            and (self.region is None or self.region == region)
        )


EVERYTHING = Scope()


@dataclass(frozen=True)
class RecipeRule:
    """The number format of the operators in a scope, and how ranges are observed where the format needs them."""

    format: NumberFormat
    scope: Scope = EVERYTHING
    observer: Observer = Observer.MIN_MAX


@dataclass(frozen=True)
class QuantRecipe:
    """How numbers are stored and computed.

    Attributes:
        name: see the module's docstring.
        rules: in order; the last one that matches decides. The first has no scope.
    """

    name: str
    rules: tuple[RecipeRule, ...]

    def __post_init__(self) -> None:
        if not self.rules or self.rules[0].scope != EVERYTHING:
            raise ValueError(f"the first rule of recipe {self.name} must match everything")

    @property
    def default_format(self) -> NumberFormat:
        """The format of operators that no other rule is about."""
        return self.rules[0].format

    @property
    def formats(self) -> frozenset[NumberFormat]:
        """All formats that a rule asks for."""
        return frozenset(rule.format for rule in self.rules)

    @property
    def is_quantized(self) -> bool:
        """Whether any operator computes in int8."""
        return self.needs_calibration or NumberFormat.DYNAMIC_INT8 in self.formats

    @property
    def needs_calibration(self) -> bool:
        """Whether ranges of activations are fixed beforehand."""
        return any(format.is_static for format in self.formats)

    def format_of(self, operator: str, module: str = "", region: Region | None = None) -> NumberFormat:
        """The format of one operator: that of the last rule that matches it."""
        return next(rule.format for rule in reversed(self.rules) if rule.scope.matches(operator, module, region))

    def __str__(self) -> str:
        return self.name


def _quantized(name: str, format: NumberFormat) -> QuantRecipe:
    """`format` everywhere but in the regions where int8 would round most of the signal away."""
    in_float = (RecipeRule(NumberFormat.FLOAT32, Scope(region=region)) for region in Region)
    return QuantRecipe(name, (RecipeRule(format), *in_float))


FP32 = QuantRecipe("fp32", (RecipeRule(NumberFormat.FLOAT32),))
WEIGHT_ONLY_FP16 = QuantRecipe("weight_only_wfp16_afp32", (RecipeRule(NumberFormat.FLOAT16_WEIGHTS),))
DYNAMIC_INT8 = QuantRecipe("dynamic_wi8_afp32", (RecipeRule(NumberFormat.DYNAMIC_INT8),))
STATIC_INT8 = _quantized("static_wi8_ai8", NumberFormat.STATIC_INT8)
STATIC_UINT8_ACTIVATIONS = _quantized("static_wi8_au8", NumberFormat.STATIC_UINT8_ACTIVATIONS)
