"""Limits of the scales in ExecuTorch's int8 files.

Its quantizer lets no scale be smaller than 2^-12, so that weights and values below 2^-13 all become 0: weights behind
values of some thousands, or a class token that is a sum of what layer scales of 1e-5 leave. XNNPACK has no such limit. It
has others:

- A bias is an integer of 32 bits at the scale of input times weight.
- A layer's or product's result must have a scale of more than 2^-8 of the product of its operands' scales, a sum's of more
  than 2^-8 of either's, else the file does not run. Constant zeros come there: a part of a split 7x7 kernel that meets only
  the padding of a 2x2 map.
- A sum's operand must have a scale of at least 2^-10 of the result's: what the operand loses by that is less than a
  thousandth of a step of the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from edgedeploy.exporters.operators.xnnpack import LEAST_RATIO, LEAST_RESULT, STEPS

from .annotations import reads_int8
from .observers import observer_of_values, observer_of_weights

SMALLEST_SCALE = 2.0**-40
LAYERS = ("aten.conv2d.default", "aten.conv2d.padding", "aten.linear.default", "aten.conv_transpose2d.input")
PRODUCTS = ("aten.mul.Tensor", "aten.mul_.Tensor")
SUMS = ("aten.add.Tensor", "aten.add_.Tensor")
BIAS_STEPS = 2**30  # a bias has 32 bits; half of them, so that sums have room


def keep_limits(prepared: Any) -> None:
    """Raises the scales of values that XNNPACK would refuse, and of weights whose bias would not fit.

    Args:
        prepared: a network with observers, calibrated.
    """
    raised = True
    while raised:  # a value is the result of one operator and an operand of others
        for node in prepared.graph.nodes:
            _fit_bias(prepared, node)
        raised = False
        for observer, least in _limits(prepared):
            raised |= _widen(observer, least)


def _limits(prepared: Any) -> Iterator[tuple[Any, float]]:
    """The observers of operands and results, each with the smallest scale that it may have."""
    for node in prepared.graph.nodes:
        type = str(node.target)
        if type not in (*LAYERS, *PRODUCTS, *SUMS) or not reads_int8(node):
            continue
        result = _result(prepared, node)
        operands = [observer_of_values(prepared, operand) for operand in node.args[: 1 if type in LAYERS else 2]]
        if result is None or None in operands:
            continue
        scales = [_scale(operand) for operand in operands]
        if type in LAYERS and (weights := observer_of_weights(prepared, node.args[1])) is not None:
            yield result, LEAST_RESULT * scales[0] * float(weights.calculate_qparams()[0].max())
        if type in PRODUCTS:
            yield result, LEAST_RESULT * math.prod(scales)
        if type in SUMS:
            yield result, LEAST_RESULT * max(scales)
            yield from ((operand, LEAST_RATIO * _scale(result)) for operand in operands)


def _fit_bias(prepared: Any, node: Any) -> None:
    """Raises the scales of the channels of a layer whose bias, (channels,), would have more than BIAS_STEPS."""
    if str(node.target) not in LAYERS:
        return
    values, weights = observer_of_values(prepared, node.args[0]), observer_of_weights(prepared, node.args[1])
    bias = node.args[2] if len(node.args) > 2 else None
    if values is None or weights is None or bias is None or bias.op != "get_attr":
        return
    largest = attrgetter(bias.target)(prepared).detach().abs()
    largest = largest.view(-1, weights.max_val.numel()).amax(0)  # groups of a transposed convolution share scales
    weights.max_val.copy_(weights.max_val.maximum(largest / (_scale(values) * BIAS_STEPS) * weights.quant_max))


def _widen(values: Any, least: float) -> bool:
    """Widens a range whose scale is below the least one, and returns whether it was."""
    scale = _scale(values)
    if scale >= least * (1 - 1e-4):  # the rounding of float32
        return False
    low, high = min(0.0, float(values.min_val)), max(0.0, float(values.max_val))
    factor = least * STEPS / (high - low) if high > low else 0.0
    values.min_val.fill_(low * factor)
    values.max_val.fill_(high * factor if factor else least * STEPS)
    return True


def _result(prepared: Any, node: Any) -> Any:
    """The observer of what an operator gives, maybe behind an activation; None without one."""
    readers = [reader for user in node.users for reader in (user, *user.users)]
    found = (observer_of_values(prepared, reader) for reader in readers)
    return next((observer for observer in found if observer is not None), None)


def _scale(values: Any) -> float:
    return float(values.calculate_qparams()[0])
