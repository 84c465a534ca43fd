"""Corrects the biases of layers for what rounding adds to their outputs on average.

Rounded weights move the mean of a layer's output: all values of a channel by the same amount, which the next layers carry
on. It is the more the fewer weights a channel has and the larger its inputs' mean is: most in depthwise layers behind a
ReLU. The network runs in float on the samples; each layer's bias takes the difference of the means in each channel that its
rounded weights make on these inputs. What earlier layers do to the inputs is not corrected again: on images unlike the
samples that would be wrong (EfficientNet-Lite0 by ONNX Runtime, calibrated on other photographs: 17.0 dB without, 19.6 dB
with corrections of both, 21.3 dB with these).

Only layers behind a ReLU, or behind another activation that is zero at its smallest, are corrected. With all of them
corrected, trained networks without ReLUs gained or lost 0.1 dB, and EdgeViT-XXS with random weights lost 4 dB.

After Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019, section 4.2
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
    """The network with corrected biases of the layers that the recipe quantizes and that read a ReLU's values."""
    graph = Graph(module)
    last_use = {source: node for node in graph.graph.nodes for source in node.all_input_nodes}
    exact: dict[fx.Node, Values] = {}
    inputs = iter(zip(*samples, strict=True))
    corrections: dict[fx.Node, Tensor] = {}
    for node in graph.graph.nodes:
        if node.op == "output":
            break
        if node.op == "placeholder":
            exact[node] = [x.clone() for x in next(inputs)]
        elif node.op == "get_attr":
            exact[node] = [graph.constant(node)] * len(samples)
        else:
            exact[node] = _run(node, exact, len(samples))
            if is_layer(graph, node) and _is_int8(recipe, node) and _of_relu(exact[node.args[0]]):
                rounded_weight = [_rounded_weight(weight_of(graph, node))] * len(samples)
                rounded = _run(node, {**exact, node.args[1]: rounded_weight}, len(samples))
                axis = 1 if node.target in CONVOLUTIONS else rounded[0].ndim - 1
                corrections[node] = _mean(exact[node], axis) - _mean(rounded, axis)
        for source in node.all_input_nodes:
            if last_use[source] is node:
                del exact[source]
    for node, correction in corrections.items():
        bias = graph.constant(argument(node, 2))
        corrected = correction if bias is None else bias + correction
        set_argument(graph, node, 2, corrected.float(), "corrected_bias")
    return graph.finish() if corrections else module


def _is_int8(recipe: QuantRecipe, node: fx.Node) -> bool:
    return recipe.format_of(str(node.target), module_path(node)) is not NumberFormat.FLOAT32


def _of_relu(values: Sequence[Tensor]) -> bool:
    return min(float(value.min()) for value in values) == 0


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


def _rounded_weight(weight: Tensor) -> Tensor:
    """Rounded to int8 with a scale for each output channel."""
    step = weight.flatten(1).abs().amax(1).clamp_min(1e-30).view(-1, *[1] * (weight.ndim - 1)) / 127
    return (weight / step).round() * step


def _mean(values: Sequence[Tensor], axis: int) -> Tensor:
    return torch.stack([v.double().movedim(axis, 0).flatten(1).mean(1) for v in values]).mean(0).float()
