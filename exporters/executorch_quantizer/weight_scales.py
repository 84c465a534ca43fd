"""The scales of int8 weights in ExecuTorch.

Its quantizer lets none be smaller than 2^-12, so that weights below 2^-13 all become 0: those behind values of some
thousands, or those that a layer scale of 1e-5 is folded into. XNNPACK has no such limit. A bias is an integer at the scale
of input times weight, and needs that product to be large enough.
"""

from __future__ import annotations

from typing import Any

SMALLEST_SCALE = 2.0**-40
LAYERS = ("aten.conv2d.default", "aten.conv2d.padding", "aten.linear.default", "aten.conv_transpose2d.input")
BIAS_STEPS = 2**30  # a bias has 32 bits; half of them, so that sums have room


def leave_room_for_biases(prepared: Any) -> None:
    """Raises the scale of weights that are so small that the bias would not fit 32 bits.

    Args:
        prepared: a network with observers, calibrated.
    """
    from operator import attrgetter

    from torchao.quantization.pt2e import MinMaxObserver, PerChannelMinMaxObserver

    def observer_of(node: Any, kind: type) -> Any:
        module = prepared.get_submodule(node.target) if node.op == "call_module" else None
        return module if type(module) is kind else None

    for node in prepared.graph.nodes:
        if str(node.target) not in LAYERS or len(node.args) < 3 or node.args[2] is None:
            continue
        values, weights = observer_of(node.args[0], MinMaxObserver), observer_of(node.args[1], PerChannelMinMaxObserver)
        if values is None or weights is None or node.args[2].op != "get_attr":
            continue
        bias = attrgetter(node.args[2].target)(prepared).detach().abs()
        bias = bias.view(-1, weights.max_val.numel()).amax(0)  # groups of a transposed convolution share scales
        step, _ = values.calculate_qparams()
        smallest = bias / (float(step) * BIAS_STEPS)
        weights.max_val.copy_(weights.max_val.maximum(smallest * weights.quant_max))
