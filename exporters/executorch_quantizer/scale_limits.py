"""Limits of the scales in ExecuTorch's int8 files.

Its quantizer lets no scale be smaller than 2^-12, so that weights below 2^-13 all become 0: those behind values of some
thousands, or those that a layer scale of 1e-5 is folded into. XNNPACK has no such limit for weights. It has two others:

- A bias is an integer of 32 bits at the scale of input times weight.
- A layer's result must have a scale of more than 2^-8 of that product, else the file does not run. Constant zeros come
  there: a part of a split 7x7 kernel that meets only the padding of a 2x2 map.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from edgedeploy.exporters.operators.xnnpack import LEAST_RESULT, STEPS

from .observers import observer_of

SMALLEST_WEIGHT_SCALE = 2.0**-40
SMALLEST_ACTIVATION_SCALE = 2.0**-12
LAYERS = ("aten.conv2d.default", "aten.conv2d.padding", "aten.linear.default", "aten.conv_transpose2d.input")
BIAS_STEPS = 2**30  # a bias has 32 bits; half of them, so that sums have room


def keep_limits(prepared: Any) -> None:
    """Raises the scales of weights whose bias would not fit, and of results that XNNPACK would refuse.

    Args:
        prepared: a network with observers, calibrated.
    """
    from torchao.quantization.pt2e import MinMaxObserver, PerChannelMinMaxObserver

    for node in prepared.graph.nodes:
        if str(node.target) not in LAYERS:
            continue
        values = observer_of(prepared, node.args[0], MinMaxObserver)
        weights = observer_of(prepared, node.args[1], PerChannelMinMaxObserver)
        if values is None or weights is None:
            continue
        step = float(values.calculate_qparams()[0])
        bias = node.args[2] if len(node.args) > 2 else None
        if bias is not None and bias.op == "get_attr":
            _fit_bias(weights, attrgetter(bias.target)(prepared).detach().abs(), step)
        readers = [reader for user in node.users for reader in (user, *user.users)]  # an activation may be between
        behind = (observer_of(prepared, reader, MinMaxObserver) for reader in readers)
        result = next((found for found in behind if found is not None), None)
        if result is not None:
            least = LEAST_RESULT * step * float(weights.calculate_qparams()[0].max())
            result.max_val.clamp_(min=min(0.0, float(result.min_val)) + STEPS * least)


def _fit_bias(weights: Any, bias: Any, step: float) -> None:
    """Raises the scales of the channels whose bias, (channels,), would have more than BIAS_STEPS."""
    bias = bias.view(-1, weights.max_val.numel()).amax(0)  # groups of a transposed convolution share scales
    smallest = bias / (step * BIAS_STEPS)
    weights.max_val.copy_(weights.max_val.maximum(smallest * weights.quant_max))
