"""What LiteRT's XNNPACK delegate takes, operator by operator.

Read from `tflite/delegates/xnnpack/xnnpack_delegate.cc` of LiteRT at commit f674577 (August 2026, LiteRT 2.3), with the
delegate's default flags: int8 and uint8 with one scale for activations, int8 weights with one scale for each channel.
`make explain-study` and tests hold the rules against what LiteRT reports after it has loaded a file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgedeploy.core.results.explanation import Refusal

RULES_FROM = "LiteRT 2.3, xnnpack_delegate.cc at f674577"
MAX_RANK = 6
FLOAT = frozenset({"float32", "float16"})
INT8 = frozenset({"int8", "uint8"})


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file.

    Attributes:
        scales, zero_points: one for all or one for each channel along `axis`; empty where it is not quantized.
        constant: its values are in the file.
        integers: the values of a short constant vector of int32, such as strides; () for all others.
    """

    dtype: str
    shape: tuple[int, ...]
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    constant: bool = False
    integers: tuple[int, ...] = ()

    @property
    def rank(self) -> int:
        """How many dimensions it has."""
        return len(self.shape)


@dataclass(frozen=True)
class Operator:
    """An operator of the file; an input that is left out is None. `options` as the format's schema has them."""

    type: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Any = None
    version: int = 1


Rule = Callable[[Operator], Refusal | None]


def refusal_of(operator: Operator) -> Refusal | None:
    """Why the delegate leaves an operator to LiteRT's own kernels; None where it takes it."""
    rule = RULES.get(operator.type)
    if rule is None:
        return Refusal("operator", f"the delegate has no {operator.type}")
    return rule(operator)


def _first(*refusals: Refusal | None) -> Refusal | None:
    return next((refusal for refusal in refusals if refusal is not None), None)


def _number(tensor: Tensor | None, *, quantized: bool = True, name: str = "its input") -> Refusal | None:
    """Refuses what is neither float nor, where that is allowed, int8 or uint8 with one scale."""
    if tensor is None:
        return Refusal("shape", f"{name} is missing")
    if tensor.dtype in FLOAT:
        return None
    if not quantized or tensor.dtype not in INT8:
        kinds = "float32 and int8" if quantized else "float32"
        return Refusal("dtype", f"{name} is {tensor.dtype}; the delegate has {kinds} only")
    if len(tensor.scales) != 1:
        return Refusal("scale", f"{name} has {len(tensor.scales)} scales; the delegate wants one")
    return None


def _rank(tensor: Tensor | None, low: int, high: int = MAX_RANK) -> Refusal | None:
    if tensor is None or low <= tensor.rank <= high:
        return None
    wanted = str(low) if low == high else f"{low} to {high}"
    return Refusal("rank", f"a tensor has rank {tensor.rank}; the delegate takes {wanted}")


def _constant(tensor: Tensor | None, what: str) -> Refusal | None:
    if tensor is None or tensor.constant:
        return None
    return Refusal("constant", f"{what} is computed at run time; the delegate wants it constant")


def _same_type(*tensors: Tensor | None) -> Refusal | None:
    kinds = {tensor.dtype for tensor in tensors if tensor is not None}
    return Refusal("dtype", f"it mixes {' and '.join(sorted(kinds))}") if len(kinds) > 1 else None


def _scale_ratio(ratio: float, low: float, high: float) -> Refusal | None:
    if low <= ratio < high:
        return None
    return Refusal("scale", f"input scale over output scale is {ratio:.3g}; the delegate takes {low:.3g} to {high:.3g}")


def _ratio(source: Tensor | None, target: Tensor, low: float, high: float) -> Refusal | None:
    """Of the scales of two tensors of one integer type."""
    if source is None or source.dtype != target.dtype or source.dtype not in INT8:
        return None
    return _scale_ratio(source.scales[0] / target.scales[0], low, high)


def _unary(*, quantized: bool = False) -> Rule:
    def rule(op: Operator) -> Refusal | None:
        source, target = op.inputs[0], op.outputs[0]
        numbers = _number(source, quantized=quantized), _number(target, quantized=quantized, name="its output")
        return _first(_rank(source, 0), *numbers)

    return rule


def _dequantize(op: Operator) -> Refusal | None:
    source = op.inputs[0]
    if source is not None and source.constant and source.dtype in ("float16", "int8"):
        return None  # unpacked once, when the file is loaded
    if source is None or source.dtype not in INT8:
        return Refusal(
            "dtype", f"its input is {source.dtype if source else 'missing'}; the delegate wants int8 or uint8"
        )
    return _number(source)


def _quantize(op: Operator) -> Refusal | None:
    source, target = op.inputs[0], op.outputs[0]
    found = _first(_number(source), _number(target, name="its output"))
    if found is not None or source is None or source.dtype in FLOAT:
        return found
    if source.dtype != target.dtype:
        return Refusal("dtype", f"it turns {source.dtype} into {target.dtype}")
    return _scale_ratio(source.scales[0] / target.scales[0], 1 / 256, 128.0000001)


def _leaky_relu(op: Operator) -> Refusal | None:
    found = _unary(quantized=True)(op)
    source, target = op.inputs[0], op.outputs[0]
    if found is not None or source is None or source.dtype not in INT8:
        return found
    positive = source.scales[0] / target.scales[0]
    negative = positive * float(op.options.alpha)
    if not (1 / 256 <= positive <= 128 and -127.99609375 <= negative <= 128 and abs(negative) >= 1 / 256):
        return Refusal("scale", f"input scale over output scale is {positive:.3g}, times alpha {negative:.3g}")
    return None


def _binary(low: float | None, high: float = 256.0, *, product: bool = False) -> Rule:
    """Two inputs of one type; in int8 with bounds for the scales, or in float only where `low` is None."""

    def rule(op: Operator) -> Refusal | None:
        (left, right), target = op.inputs, op.outputs[0]
        quantized = low is not None
        found = _first(
            _rank(left, 0),
            _rank(right, 0),
            _number(left, quantized=quantized),
            _number(right, quantized=quantized),
            _number(target, quantized=quantized, name="its output"),
            _same_type(left, right, target) if quantized else None,
        )
        if found is not None or low is None or left is None or right is None or left.dtype not in INT8:
            return found
        if product:
            return _scale_ratio(left.scales[0] * right.scales[0] / target.scales[0], low, high)
        return _first(_ratio(left, target, low, high), _ratio(right, target, low, high))

    return rule


def _prelu(op: Operator) -> Refusal | None:
    return _first(_binary(None)(op), _constant(op.inputs[1], "its slope"))


def _weights(tensor: Tensor | None, axis: int) -> Refusal | None:
    if tensor is None or tensor.dtype in FLOAT:
        return None
    if tensor.dtype not in INT8:
        return Refusal("dtype", f"its weights are {tensor.dtype}")
    if not tensor.scales:
        return Refusal("scale", "its weights have no scale")
    if len(tensor.scales) > 1 and tensor.axis != axis:
        return Refusal("shape", f"its weights have scales along axis {tensor.axis}; the delegate wants axis {axis}")
    if len(tensor.scales) > 1 and any(tensor.zero_points):
        return Refusal("zero point", "its weights have zero points that are not 0")
    if not all(math.isfinite(scale) and scale > 1e-38 for scale in tensor.scales):
        return Refusal("scale", "a scale of its weights is zero or not normal: a channel of zeros")
    return None


def _convolution(axis: int, *, dynamic: bool) -> Rule:
    def rule(op: Operator) -> Refusal | None:
        if len(op.inputs) != 3 or op.inputs[2] is None:
            return Refusal("shape", "it has no bias")
        data, weight, bias = op.inputs
        target = op.outputs[0]
        found = _first(
            _number(data),
            _rank(data, 4, 4),
            _weights(weight, axis),
            _rank(weight, 4, 4),
            _constant(weight, "its weight"),
            _rank(bias, 1, 1),
            _constant(bias, "its bias"),
            _number(target, name="its output"),
        )
        if found is not None or data is None or weight is None:
            return found
        hybrid = dynamic and data.dtype == "float32" and weight.dtype == "int8"
        return _same_type(data, target) if hybrid else _same_type(data, weight, target)

    return rule


def _fully_connected(op: Operator) -> Refusal | None:
    data, weight = op.inputs[:2]
    target = op.outputs[0]
    found = _first(_number(data), _rank(weight, 2, 2), _number(target, name="its output"))
    if found is not None or data is None or weight is None:
        return found
    if weight.dtype not in ("int2", "int4"):
        found = _weights(weight, 0)
    found = _first(found, _constant(weight, "its weight"))
    hybrid = data.dtype in FLOAT and weight.dtype in ("int8", "int4", "int2")
    narrow = data.dtype == "int8" and weight.dtype in ("int8", "int4", "int2")
    mixed = _same_type(data, target) or (None if hybrid or narrow else _same_type(data, weight))
    zero = not hybrid and weight.dtype == "int8" and any(weight.zero_points)
    return _first(found, mixed, Refusal("zero point", "its weights have a zero point that is not 0") if zero else None)


def _batch_matmul(op: Operator) -> Refusal | None:
    left, right = op.inputs[:2]
    target = op.outputs[0]
    if left is None or right is None:
        return Refusal("shape", "an input is missing")
    axis = right.rank - 2 if op.options is not None and op.options.adjY else right.rank - 1
    hybrid = left.dtype == "float32" and right.dtype == "int8"
    found = _first(_number(left), _weights(right, axis), _number(target, name="its output"))
    if found is not None:
        return found
    if right.dtype == "int8" and not hybrid and any(right.zero_points):
        return Refusal(
            "zero point", f"its second input has the zero point {right.zero_points[0]}; the delegate takes 0 only"
        )
    return _first(None if hybrid else _same_type(left, right), _rank(left, 2), _rank(right, 2))


def _pooling(*, quantized: bool) -> Rule:
    def rule(op: Operator) -> Refusal | None:
        found = _unary(quantized=quantized)(op)
        if found is not None or op.options is None:
            return found
        kernel, stride = (op.options.filterHeight, op.options.filterWidth), (op.options.strideH, op.options.strideW)
        if stride[0] > kernel[0] or stride[1] > kernel[1]:
            return Refusal("option", f"its stride {stride[0]}x{stride[1]} exceeds its window {kernel[0]}x{kernel[1]}")
        return None

    return rule


def _concatenation(op: Operator) -> Refusal | None:
    if not 2 <= len(op.inputs) <= 5:
        return Refusal("shape", f"it joins {len(op.inputs)} tensors; the delegate joins 2 to 5")
    found = _first(_number(op.outputs[0], name="its output"), *(_number(source) for source in op.inputs))
    if found is not None or op.outputs[0].dtype != "uint8":
        return found
    return _first(*(_same_scale(source, op.outputs[0]) for source in op.inputs))


def _same_scale(source: Tensor | None, target: Tensor) -> Refusal | None:
    if (
        source is None
        or target.dtype not in INT8
        or (source.scales, source.zero_points) == (target.scales, target.zero_points)
    ):
        return None
    kind: Any = "scale" if source.scales != target.scales else "zero point"
    return Refusal(kind, f"its input and its output have different {kind}s")


def _reshape(op: Operator) -> Refusal | None:
    source, target = op.inputs[0], op.outputs[0]
    shape = op.inputs[1] if len(op.inputs) > 1 else None
    return _first(
        _number(source),
        _rank(source, 0),
        _number(target, name="its output"),
        _rank(target, 0),
        _same_scale(source, target),
        _constant(shape, "its shape"),
    )


def _with_constants(*names: str, low: int = 0) -> Rule:
    """One input of data, then constants with these names."""

    def rule(op: Operator) -> Refusal | None:
        data, target = op.inputs[0], op.outputs[0]
        return _first(
            _number(data),
            _rank(data, low),
            *(_constant(tensor, name) for tensor, name in zip(op.inputs[1:], names, strict=False)),
            _number(target, name="its output"),
        )

    return rule


def _softmax(op: Operator) -> Refusal | None:
    if op.options is not None and op.options.beta != 1.0:
        return Refusal("option", f"its beta is {op.options.beta:g}; the delegate takes 1")
    source, target = op.inputs[0], op.outputs[0]
    return _first(_number(source, quantized=False), _number(target, quantized=False, name="its output"))


def _split(op: Operator) -> Refusal | None:
    if not 2 <= len(op.outputs) <= 4:
        return Refusal("shape", f"it makes {len(op.outputs)} tensors; the delegate makes 2 to 4")
    return _first(_constant(op.inputs[0], "its axis"), _number(op.inputs[1]), *(_number(out) for out in op.outputs))


def _strided_slice(op: Operator) -> Refusal | None:
    options = op.options
    if options is not None and (options.ellipsisMask or options.newAxisMask or options.shrinkAxisMask):
        return Refusal("option", "it adds or drops a dimension")
    strides = op.inputs[3]
    if strides is not None and set(strides.integers) - {1}:
        return Refusal("option", f"its strides are {strides.integers}; the delegate takes 1 only")
    return _with_constants("its begin", "its end", "its stride")(op)


def _transpose_conv(op: Operator) -> Refusal | None:
    if not 3 <= len(op.inputs) <= 4:
        return Refusal("shape", f"it has {len(op.inputs)} inputs")
    shape, weight, data = op.inputs[:3]
    target = op.outputs[0]
    found = _first(
        _constant(shape, "its output's shape"),
        _rank(weight, 4, 4),
        _constant(weight, "its weight"),
        _number(data),
        _rank(data, 4, 4),
        _weights(weight, 0),
        _number(target, name="its output"),
    )
    if found is not None or data is None or weight is None:
        return found
    hybrid = data.dtype == "float32" and weight.dtype == "int8"
    return _same_type(data, target) if hybrid else _same_type(data, weight, target)


_FLOAT_ONLY = (
    *("ABS", "CEIL", "COS", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LOG", "NEG", "RELU_N1_TO_1", "RELU", "RELU6"),
    *("ROUND", "RSQRT", "SIN", "SQRT", "SQUARE"),
)

RULES: Mapping[str, Rule] = {
    **{type: _unary() for type in _FLOAT_ONLY},
    **{type: _unary(quantized=True) for type in ("ELU", "LOGISTIC", "TANH")},
    "DEQUANTIZE": _dequantize,
    "QUANTIZE": _quantize,
    "LEAKY_RELU": _leaky_relu,
    "ADD": _binary(1 / 1024),
    "SUB": _binary(1 / 1024),
    "MUL": _binary(1 / 65536, product=True),
    **{type: _binary(None) for type in ("DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE")},
    "PRELU": _prelu,
    "AVERAGE_POOL_2D": _pooling(quantized=False),
    "MAX_POOL_2D": _pooling(quantized=True),
    "BATCH_MATMUL": _batch_matmul,
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution(0, dynamic=True),
    "DEPTHWISE_CONV_2D": _convolution(3, dynamic=False),
    "FULLY_CONNECTED": _fully_connected,
    "TRANSPOSE_CONV": _transpose_conv,
    **{type: _with_constants("its axes") for type in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")},
    "PAD": _with_constants("its padding", low=1),
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _with_constants("its size", low=4),
    "SLICE": _with_constants("its begin", "its size"),
    "SOFTMAX": _softmax,
    "SPLIT": _split,
    "STRIDED_SLICE": _strided_slice,
    "TRANSPOSE": _with_constants("its order", low=1),
    "DEPTH_TO_SPACE": _with_constants(),
    "SPACE_TO_DEPTH": _with_constants(),
}
