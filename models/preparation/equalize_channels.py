"""Equalizes the ranges of an activation's channels: layer -> relu -> layer, norm -> layer.

    y = f(W1 x + b1),  z = W2 y          f(a v) = a f(v) for a > 0
    =  W2 S f(S^-1 W1 x + S^-1 b1)       S = diag(s)

An activation has one scale for all its channels: where one is a thousand times larger than the others, these are rounded
to zero. The largest value a of each channel on the samples, and the largest weight w that reads it, decide: s = sqrt(a / w)
makes both equally wide. A depthwise layer has a scale for each channel, so that s = a costs its weights nothing.

After Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019, section 4.1
(https://arxiv.org/abs/1906.04721), with activations instead of the first layer's weights, since these have a scale for each
channel here; and Xiao et al., SmoothQuant, 2022 (https://arxiv.org/abs/2211.10438), for norms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from edgedeploy.models.rewrites.graph import Graph, Inputs, argument, shape

from .layers import CONVOLUTIONS, aten, groups_of, is_layer, set_argument, weight_of

# f(a v) = a f(v) for a > 0, channel by channel
HOMOGENEOUS = (
    aten.relu.default,
    aten.relu_.default,
    aten.leaky_relu.default,
    aten.max_pool2d.default,
    aten.avg_pool2d.default,
    aten.adaptive_avg_pool2d.default,
    aten.dropout.default,
    aten.clone.default,
)
LIMIT = 2.0**12  # of s, either way: no channel is made to vanish


@dataclass(frozen=True)
class _Pair:
    """A layer or norm, the value of it that others read, and these, all layers."""

    source: fx.Node
    value: fx.Node
    axis: int
    targets: tuple[fx.Node, ...]


def equalize_channels(module: fx.GraphModule, samples: Sequence[Inputs]) -> fx.GraphModule:
    """The network with equalized channels; the same module where there is no such pair."""
    graph = Graph(module)
    pairs = [pair for node in graph.nodes() if (pair := _pair(graph, node)) is not None]
    if not pairs:
        return module
    largest = _largest_values(graph.module, pairs, samples)
    for pair, values in zip(pairs, largest, strict=True):
        _apply(graph, pair, _scales(graph, pair, values))
    return graph.finish()


def _pair(graph: Graph, node: fx.Node) -> _Pair | None:
    """The pair that starts at a node."""
    if node.target == aten.layer_norm.default:
        axis = len(shape(node)) - 1
        if len(argument(node, 1)) != 1 or any(_computed(graph, argument(node, index)) for index in (2, 3)):
            return None
    elif is_layer(graph, node):
        axis = 1 if node.target in CONVOLUTIONS else len(shape(node)) - 1
    else:
        return None
    value = node
    while True:
        users = tuple(value.users)
        if users and all(_reads_channels(graph, user, value, axis) for user in users):
            return _Pair(node, value, axis, users)
        if len(users) != 1:
            return None
        if users[0].target == aten.permute.default:
            order = [side % len(shape(value)) for side in argument(users[0], 1)]
            axis = order.index(axis)
        elif users[0].target not in HOMOGENEOUS:
            return None
        value = users[0]


def _computed(graph: Graph, value: Any) -> bool:
    return value is not None and graph.constant(value) is None


def _reads_channels(graph: Graph, node: fx.Node, value: fx.Node, axis: int) -> bool:
    if not is_layer(graph, node) or node.args[0] is not value or sum(a is value for a in node.all_input_nodes) != 1:
        return False
    return axis == (1 if node.target in CONVOLUTIONS else len(shape(value)) - 1)


def _largest_values(module: fx.GraphModule, pairs: Sequence[_Pair], samples: Sequence[Inputs]) -> list[Tensor]:
    """For each pair the largest absolute value of each channel that its targets read."""
    watched = {pair.value: pair.axis for pair in pairs}
    found: dict[fx.Node, Tensor] = {}

    class Watcher(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            result = super().run_node(n)
            if n in watched:
                of_channel = result.abs().movedim(watched[n], 0).flatten(1).amax(1).double()
                found[n] = torch.maximum(found[n], of_channel) if n in found else of_channel
            return result

    for sample in samples:
        Watcher(module).run(*(x.clone() for x in sample))
    return [found[pair.value] for pair in pairs]


def _scales(graph: Graph, pair: _Pair, values: Tensor) -> Tensor:
    """s of each channel; 1 for channels that are always 0."""
    weights = torch.stack([_largest_weights(graph, target, len(values)) for target in pair.targets]).amax(0)
    live = (values > 0) & (weights > 0)
    if not live.any():
        return torch.ones_like(values)
    depthwise = all(groups_of(target) == len(values) for target in pair.targets)
    scales = values if depthwise else (values / weights.clamp_min(1e-300)).sqrt()
    scales = torch.where(live, scales, torch.ones_like(scales))
    # the geometric mean stays, so that float rounding does
    scales = scales / scales[live].log().mean().exp()
    return torch.where(live, scales.clamp(1 / LIMIT, LIMIT), torch.ones_like(scales))


def _largest_weights(graph: Graph, layer: fx.Node, channels: int) -> Tensor:
    """The largest absolute weight that reads each input channel."""
    weight, groups = weight_of(graph, layer).double().abs(), groups_of(layer)
    by_group = weight.unflatten(0, (groups, -1)).flatten(3).amax(-1) if weight.ndim > 2 else weight[None]
    return by_group.amax(1).reshape(channels)  # (groups, out/groups, in/groups) -> (in,)


def _apply(graph: Graph, pair: _Pair, scales: Tensor) -> None:
    source = pair.source
    if source.target == aten.layer_norm.default:
        gain, bias = (graph.constant(argument(source, index)) for index in (2, 3))
        gain = torch.ones(len(scales)) if gain is None else gain
        set_argument(graph, source, 2, (gain.double() / scales).float(), "equalized_gain")
        if bias is not None:
            set_argument(graph, source, 3, (bias.double() / scales).float(), "equalized_bias")
    else:
        weight, bias = weight_of(graph, source), graph.constant(argument(source, 2))
        divided = weight.double() / scales.view(-1, *[1] * (weight.ndim - 1))
        set_argument(graph, source, 1, divided.to(weight.dtype), "equalized_weight")
        if bias is not None:
            set_argument(graph, source, 2, (bias.double() / scales).to(bias.dtype), "equalized_bias")
    for target in pair.targets:
        weight, groups = weight_of(graph, target), groups_of(target)
        rows = torch.arange(weight.shape[0]) // (weight.shape[0] // groups)
        factors = scales.view(groups, -1)[rows].view(*weight.shape[:2], *[1] * (weight.ndim - 2))
        set_argument(graph, target, 1, (weight.double() * factors).to(weight.dtype), "equalized_weight")
