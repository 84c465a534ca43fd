"""QuantRecipe: how numbers are stored and computed, as ordered rules under a name that can be decoded.

A built-in recipe's name is `<when>_w<weights>_a<activations>`, as ai-edge-quantizer names its own, so that they mean the
same in an issue of either project; `fp32` alone means that nothing is quantized. core/recipes has their files.

A recipe's rules are read in order and the last one that matches an operator decides. The first rule matches everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from fnmatch import fnmatchcase

# One word for what the formats name differently, so that one recipe serves all. What is one operator in one format may be
# several in another: a LayerNorm is one in ONNX and ExecuTorch, and a dozen in TFLite, where the region "normalization"
# means them. kind -> types in ONNX, in TFLite, and in a network captured by torch.export
OPERATOR_KINDS: Mapping[str, tuple[str, ...]] = {
    "convolution": (
        *("Conv", "ConvTranspose", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"),
        *("aten.conv1d.*", "aten.conv2d.*", "aten.conv_transpose2d.*", "aten.convolution.*"),
    ),
    "linear": ("Gemm", "FULLY_CONNECTED", "aten.linear.*", "aten.addmm.*"),
    "matrix_product": ("MatMul", "BATCH_MATMUL", "aten.matmul.*", "aten.bmm.*", "aten.mm.*"),
    "softmax": ("Softmax", "SOFTMAX", "aten.softmax.*", "aten._softmax.*"),
    "normalization": ("LayerNormalization", "aten.layer_norm.*", "aten.native_layer_norm.*"),
    "add": ("Add", "ADD", "aten.add.*", "aten.add_.*"),
    "subtract": ("Sub", "SUB", "aten.sub.*"),
    "multiply": ("Mul", "MUL", "aten.mul.*", "aten.mul_.*"),
    "divide": ("Div", "DIV", "aten.div.*"),
    "gelu": ("Gelu", "GELU", "aten.gelu.*"),
    "sigmoid": ("Sigmoid", "LOGISTIC", "aten.sigmoid.*"),
    "tanh": ("Tanh", "TANH", "aten.tanh.*"),
    "hard_swish": ("HardSwish", "HARD_SWISH", "aten.hardswish.*", "aten.hardswish_.*"),
    "hard_sigmoid": ("HardSigmoid", "aten.hardsigmoid.*"),
    "relu": ("Relu", "RELU", "RELU6", "aten.relu.*", "aten.relu_.*", "aten.hardtanh.*"),
    "resize": ("Resize", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "aten.upsample*"),
    "pooling": (
        *("AveragePool", "MaxPool", "AVERAGE_POOL_2D", "MAX_POOL_2D"),
        *("aten.avg_pool2d.*", "aten.max_pool2d.*", "aten.adaptive_avg_pool2d.*"),
    ),
    "mean": ("ReduceMean", "GlobalAveragePool", "MEAN", "aten.mean.*"),
    "concatenation": ("Concat", "CONCATENATION", "aten.cat.*"),
}


def operator_kind(operator: str) -> str:
    """The kind of an operator type; "" for one of no kind."""
    return next(
        (kind for kind, types in OPERATOR_KINDS.items() if any(fnmatchcase(operator, pattern) for pattern in types)), ""
    )


class NumberFormat(Enum):
    """How an operator's weights and activations are stored and computed."""

    FLOAT32 = "float32"
    FLOAT16_WEIGHTS = "float16_weights"
    DYNAMIC_INT8 = "dynamic_int8"
    STATIC_INT8 = "static_int8"
    STATIC_UINT8_ACTIVATIONS = "static_uint8_activations"
    STATIC_INT16_ACTIVATIONS = "static_int16_activations"

    @property
    def is_static(self) -> bool:
        """Whether activations have ranges that are fixed beforehand."""
        return self.value.startswith("static_")

    @property
    def activation_bits(self) -> int:
        """Of activations with fixed ranges."""
        return 16 if self is NumberFormat.STATIC_INT16_ACTIVATIONS else 8


class Observer(Enum):
    """How an activation's range is taken from calibration samples."""

    MIN_MAX = "min_max"  # the smallest and the largest value
    PERCENTILE = "percentile"  # without the outermost values
    MSE = "mse"  # the least squared error of all values
    MSE_PERCENTILE = "mse_percentile"  # the wider of the two, at each end
    ENTROPY = "entropy"  # the least change of the values' distribution


class Preparation(Enum):
    """Changes to the float network that make it easier to quantize and cost nothing at run time."""

    EQUALIZE_CHANNELS = "equalize_channels"
    OPTIMIZE_ROUNDING = "optimize_rounding"
    CORRECT_BIAS = "correct_bias"


class Region(Enum):
    """Parts of a graph that belong together; exporters/regions finds them."""

    NORMALIZATION = "normalization"  # from the squares of an L2 norm or a LayerNorm to the last product with its scale
    DIVISION = "division"  # quotients of computed values, their divisors, and the matrix products that are divided
    DISTRIBUTION = "distribution"  # softmax that is no attention, or is masked: its values need more than 256 steps
    RESIDUAL = "residual"  # additions whose sums only norms and further such additions read
    PREPROCESSING = "preprocessing"  # arithmetic of the network's inputs with constants
    LABEL_SELECTION = "label_selection"  # from the last layer with weights to the class labels


@dataclass(frozen=True)
class Scope:
    """Which operators a rule is about; an empty field matches all.

    Attributes:
        module: pattern of module paths, such as "backbone.stages.3" (`*` and `?` as in file names); it also matches
            everything inside of what it matches.
        operator: a kind of OPERATOR_KINDS, such as "convolution", or the operator's type as the format names it:
            "Conv", "BATCH_MATMUL", "aten.bmm*"; with the same wildcards.
        region: a part of the graph.
    """

    module: str = ""
    operator: str = ""
    region: Region | None = None

    def matches(self, operator: str, module: str, region: Region | None) -> bool:
        """Whether an operator of this type, from this module and in this region, is meant."""
        return (
            (not self.module or _matches_path(module, self.module))
            and (not self.operator or any(fnmatchcase(n, self.operator) for n in (operator, operator_kind(operator))))
            and (self.region is None or self.region == region)
        )

    def __str__(self) -> str:
        fields = ("module", self.module), ("operator", self.operator), ("region", self.region and self.region.value)
        return ", ".join(f"{name} '{value}'" for name, value in fields if value) or "everything"


def _matches_path(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}.*")


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
        name: of a built-in one, see the module's docstring; of a file, as it says.
        rules: in order; the last one that matches decides. The first has no scope.
        prepare: what is done to the float network before.
        float_outputs: int8 layers that give one vector for each image as the network's output, such as its logits, give
            float numbers.
        correct_outputs: weights and bias of a layer that gives such a vector in float take the gain and the mean error that
            the file's output has on calibration samples.
        range_margin: by which share ranges of activations reach further than the calibration's, 0 to 1.
        min_layer_sqnr_db: a layer stays in float whose rounded weights alone would leave the network's output a smaller
            signal to quantization noise; None lets all layers be int8.
    """

    name: str
    rules: tuple[RecipeRule, ...]
    prepare: tuple[Preparation, ...] = ()
    float_outputs: bool = False
    correct_outputs: bool = False
    range_margin: float = 0.0
    min_layer_sqnr_db: float | None = None

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

    @property
    def reads_samples(self) -> bool:
        """Whether the float network is prepared, or its layers are measured, with calibration samples."""
        return bool(self.prepare) or self.min_layer_sqnr_db is not None

    def rule_of(self, operator: str, module: str = "", region: Region | None = None) -> RecipeRule:
        """The last rule that matches an operator."""
        return next(rule for rule in reversed(self.rules) if rule.scope.matches(operator, module, region))

    def format_of(self, operator: str, module: str = "", region: Region | None = None) -> NumberFormat:
        """The format of one operator."""
        return self.rule_of(operator, module, region).format

    def with_rules(self, *rules: RecipeRule) -> QuantRecipe:
        """The recipe with further rules at its end."""
        return replace(self, rules=(*self.rules, *rules))

    def excluding(self, *modules: str) -> QuantRecipe:
        """The recipe with these modules left in float32."""
        return self.with_rules(*(RecipeRule(NumberFormat.FLOAT32, Scope(module=module)) for module in modules))

    def preparing(self, step: Preparation, *, wanted: bool = True) -> QuantRecipe:
        """The recipe with a preparation, or without it."""
        if wanted and step in self.prepare:
            return self
        others = tuple(other for other in self.prepare if other is not step)
        return replace(self, prepare=(*others, step) if wanted else others)

    def observing(self, observer: Observer) -> QuantRecipe:
        """The recipe with one observer for everything that has a fixed range."""
        rules = (replace(rule, observer=observer) if rule.format.is_static else rule for rule in self.rules)
        return replace(self, rules=tuple(rules))

    def __str__(self) -> str:
        return self.name
