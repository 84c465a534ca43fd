"""The layers that give a quantized network's float outputs: their weights and biases take what the outputs are off by."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from edgedeploy.exporters.operators.output_correction import Correction

from .outputs import found_output_layers

DEQUANTIZE = "quantized_decomposed.dequantize_per_channel.default"


def layers_of_outputs(converted: Any) -> dict[int, Any]:
    """The layers of constants that give an output, (batch, channels), and nothing else, by the output's number.

    Args:
        converted: a network between quantize and dequantize operators.
    """
    nodes = {node.name: node for node in converted.graph.nodes}
    layers = {one.output: nodes[str(one.layer)] for one in found_output_layers(converted)}
    return {number: layer for number, layer in layers.items() if _has_constants(layer)}


def correct(converted: Any, layer: Any, correction: Correction) -> None:
    """Scales a layer's weights and bias, and adds to the bias, in place.

    Args:
        layer: as `layers_of_outputs` found it.
    """
    import torch

    shift = torch.from_numpy(correction.shift)
    _replace(converted, _reader_of_factor(layer), lambda values: values * correction.gain)
    _replace(converted, (layer, 2), lambda values: values * correction.gain + shift)
    converted.graph.eliminate_dead_code()
    converted.recompile()


def _has_constants(layer: Any) -> bool:
    readers = (_reader_of_factor(layer), (layer, 2))
    return len(layer.args) > 2 and all(getattr(node.args[at], "op", "") == "get_attr" for node, at in readers)


def _reader_of_factor(layer: Any) -> tuple[Any, int]:
    """The node and argument that are what the weights are proportional to: their scales, or the weights themselves."""
    weights = layer.args[1]
    return (weights, 1) if str(weights.target) == DEQUANTIZE and len(weights.users) == 1 else (layer, 1)


def _replace(converted: Any, reader: tuple[Any, int], change: Callable[[Any], Any]) -> None:
    """Gives a node a changed constant; other readers of the old one keep it."""
    node, position = reader
    constant = node.args[position]
    held = attrgetter(constant.target)(converted).detach()
    name = f"{node.name}_corrected_{position}"
    converted.register_buffer(name, change(held.double()).to(held.dtype))
    with converted.graph.inserting_before(node):
        changed = converted.graph.get_attr(name)
    changed.meta = dict(constant.meta)
    node.update_arg(position, changed)
