"""The biases of the layers that give the float outputs of a quantized network, which take what they lack on average."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from .outputs import CONVOLUTION, LINEAR, VIEWS


def layers_of_outputs(converted: Any) -> dict[int, Any]:
    """The layers with a constant bias that give an output, (batch, channels), and nothing else, by the output's number.

    Args:
        converted: a network between quantize and dequantize operators.
    """
    (results,) = next(iter(reversed(converted.graph.nodes))).args
    found = {}
    for index, node in enumerate(results if isinstance(results, list | tuple) else [results]):
        layer = node
        while len(layer.users) == 1 and str(layer.target) in VIEWS:
            layer = layer.args[0]
        bias = layer.args[2] if str(layer.target) in (LINEAR, CONVOLUTION) and len(layer.args) > 2 else None
        if len(layer.users) == 1 and bias is not None and bias.op == "get_attr":
            found[index] = layer
    return found


def add_to_bias(converted: Any, layer: Any, correction: Any) -> None:
    """Adds to a layer's bias, in place.

    Args:
        layer: as `layers_of_outputs` found it.
        correction: (channels,).
    """
    import torch

    bias = attrgetter(layer.args[2].target)(converted).detach()
    name = f"{layer.name}_corrected_bias"
    converted.register_buffer(name, (bias + torch.from_numpy(correction)).to(bias.dtype))
    with converted.graph.inserting_before(layer):
        corrected = converted.graph.get_attr(name)
    corrected.meta = dict(layer.args[2].meta)
    layer.update_arg(2, corrected)
    converted.graph.eliminate_dead_code()
    converted.recompile()
