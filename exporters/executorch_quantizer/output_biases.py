"""The biases of the layers that give the float outputs of a quantized network, which take what they lack on average."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from .outputs import found_output_layers


def layers_of_outputs(converted: Any) -> dict[int, Any]:
    """The layers with a constant bias that give an output, (batch, channels), and nothing else, by the output's number.

    Args:
        converted: a network between quantize and dequantize operators.
    """
    nodes = {node.name: node for node in converted.graph.nodes}
    layers = {one.output: nodes[str(one.layer)] for one in found_output_layers(converted)}
    return {number: layer for number, layer in layers.items() if _has_constant_bias(layer)}


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


def _has_constant_bias(layer: Any) -> bool:
    return len(layer.args) > 2 and layer.args[2] is not None and layer.args[2].op == "get_attr"
