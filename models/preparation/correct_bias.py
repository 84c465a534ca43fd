"""Corrects the biases of layers for what rounding adds to their outputs on average.

Rounded weights and inputs move the mean of a layer's output: all values of a channel by the same amount, which the next
layers carry on. The network runs twice side by side on the samples, in float and with the layers' weights and inputs
rounded to int8, and each layer's bias takes the difference of the two means in each channel before the next layer runs.

After Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019, section 4.2 and appendix D
(https://arxiv.org/abs/1906.04721).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from edgedeploy.core.recipe import NumberFormat, QuantRecipe
from edgedeploy.models.rewrites.graph import Graph, Inputs, argument, module_path

from .layers import CONVOLUTIONS, is_layer, set_argument, weight_of

Values = list[Any]  # of one node, one for each sample


def correct_bias(module: fx.GraphModule, samples: Sequence[Inputs], recipe: QuantRecipe) -> fx.GraphModule:
    """The network with corrected biases of the layers that the recipe quantizes."""
    graph = Graph(module)
    last_use = {source: node for node in graph.graph.nodes for source in node.all_input_nodes}
    exact: dict[fx.Node, Values] = {}
    rounded: dict[fx.Node, Values] = {}
    inputs = iter(zip(*samples, strict=True))
    corrections: dict[fx.Node, Tensor] = {}
    for node in graph.graph.nodes:
        if node.op == "output":
            break
        if node.op == "placeholder":
            exact[node] = rounded[node] = [x.clone() for x in next(inputs)]
        elif node.op == "get_attr":
            constant = graph.constant(node)
            exact[node] = rounded[node] = [constant] * len(samples)
        elif is_layer(graph, node) and _is_int8(recipe, node):
            exact[node] = _run(node, exact, len(samples))
            low, high = _range(exact[node.all_input_nodes[0]])
            rounding = _rounding(low, high)
            inputs_and_weight = {
                **rounded,
                node.all_input_nodes[0]: [rounding(x) for x in rounded[node.all_input_nodes[0]]],
                node.args[1]: [_rounded_weight(weight_of(graph, node))] * len(samples),
            }
            outputs = _run(node, inputs_and_weight, len(samples))
            axis = 1 if node.target in CONVOLUTIONS else outputs[0].ndim - 1
            corrections[node] = _mean(exact[node], axis) - _mean(outputs, axis)
            view = [-1 if side == axis else 1 for side in range(outputs[0].ndim)]
            rounded[node] = [output + corrections[node].view(view) for output in outputs]
        else:
            exact[node], rounded[node] = _run(node, exact, len(samples)), _run(node, rounded, len(samples))
        for source in node.all_input_nodes:
            if last_use[source] is node:
                del exact[source], rounded[source]
    for node, correction in corrections.items():
        bias = graph.constant(argument(node, 2))
        corrected = correction if bias is None else bias + correction
        set_argument(graph, node, 2, corrected.float(), "corrected_bias")
    return graph.finish() if corrections else module


def _is_int8(recipe: QuantRecipe, node: fx.Node) -> bool:
    return recipe.format_of(str(node.target), module_path(node)) is not NumberFormat.FLOAT32


def _run(node: fx.Node, values: dict[Any, Values], count: int) -> Values:
    """The node's value for each sample."""
    target: Callable[..., Any] = node.target  # type: ignore[assignment]

    def at(index: int) -> Any:
        def value(n: fx.Node) -> Any:
            held = values[n][index]
            return held.clone() if isinstance(held, Tensor) and str(node.target).endswith("_.default") else held

        args, kwargs = fx.node.map_arg((node.args, node.kwargs), value)
        return target(*args, **kwargs)

    return [at(index) for index in range(count)]


def _range(values: Sequence[Tensor]) -> tuple[float, float]:
    """The smallest and largest value, with 0 among them."""
    return min(0.0, *(float(v.min()) for v in values)), max(0.0, *(float(v.max()) for v in values))


def _rounding(low: float, high: float) -> Callable[[Tensor], Tensor]:
    """Rounds to the 256 values of int8 in a range."""
    step = (high - low) / 255 or 1.0
    zero = round(low / step)
    return lambda x: ((x / step).round() - zero).clamp(0, 255).add(zero) * step


def _rounded_weight(weight: Tensor) -> Tensor:
    """Rounded to int8 with a scale for each output channel."""
    step = weight.flatten(1).abs().amax(1).clamp_min(1e-30).view(-1, *[1] * (weight.ndim - 1)) / 127
    return (weight / step).round() * step


def _mean(values: Sequence[Tensor], axis: int) -> Tensor:
    return torch.stack([v.double().movedim(axis, 0).flatten(1).mean(1) for v in values]).mean(0).float()
