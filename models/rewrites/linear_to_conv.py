"""Linear -> 1x1 convolution, where it removes a change of layout or gives the runtime its best kernel.

Vision networks have three shapes of input:

    (B, C)                             a vector:           view as (B, C, 1, 1), convolve, view back
    (B, h, w, C) = permute of a map    channels last:      convolve the map itself, permute the result
    (B, N, C) = transpose of a flat map  tokens:           convolve the map itself, flatten and transpose the result

In the last two the permutes in front of the layer go; those behind it move on, past elementwise operators, to the
next layer's (see `layout` and `cancel_permutes`). A linear layer on any other input is declined: a convolution would need
a permute that is not there.

`linear_to_conv_on_maps` leaves vectors alone, for ONNX Runtime in float: its matrix product of 1280 by 1000 values takes
0.6 million Arm instructions, its convolution 3.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, operator_name, shape, source
from .layout import TO_CHANNELS_LAST, permutation, sink
from .rewrite import Rewrite

aten = torch.ops.aten
VIEWS = (aten.reshape.default, aten.view.default, aten.flatten.using_ints)


@dataclass(frozen=True)
class Layout:
    """The map that the layer's input comes from, and how the input was made of it."""

    kind: str  # "vector", "channels_last", "tokens"
    map: fx.Node


class LinearToConv(Rewrite):
    reason = "a 1x1 convolution works on the map as it lies; a linear layer needs it permuted to channels-last and back"

    def __init__(self, name: str, *, vectors: bool) -> None:
        self.name = name
        self._vectors = vectors

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.linear.default

    def check(self, graph: Graph, node: fx.Node) -> Layout:
        if graph.constant(argument(node, 1)) is None:
            raise RewriteRefused("its weight is computed")
        x = source(node)
        rank = len(shape(x))
        if rank == 2 and not self._vectors:
            raise RewriteRefused("its input is a vector, for which a matrix product is as good")
        if rank == 2:
            return Layout("vector", x)
        if rank == 4 and permutation(x) == TO_CHANNELS_LAST:
            return Layout("channels_last", source(x))
        if rank == 3 and permutation(x) == (0, 2, 1):
            flat = source(x)
            if flat.target in VIEWS and len(shape(source(flat))) == 4 and shape(source(flat))[:2] == shape(flat)[:2]:
                return Layout("tokens", source(flat))
        raise RewriteRefused(f"its input {list(shape(x))} is {operator_name(x)}, not the permute of a map")

    def rewrite(self, graph: Graph, node: fx.Node, plan: Layout) -> None:
        weight, bias = graph.constant(argument(node, 1)), argument(node, 2)
        assert weight is not None
        kernel = graph.add_constant(weight[:, :, None, None], "conv_weight", before=node)
        x = plan.map
        if plan.kind == "vector":
            x = graph.call(aten.reshape.default, x, [*shape(x), 1, 1], before=node)
        y = graph.call(aten.conv2d.default, x, kernel, bias, before=node)
        if plan.kind == "channels_last":
            y = graph.call(aten.permute.default, y, list(TO_CHANNELS_LAST), before=node)
        elif plan.kind == "tokens":
            batch, channels, h, w = shape(y)
            y = graph.call(aten.reshape.default, y, [batch, channels, h * w], before=node)
            y = graph.call(aten.transpose.int, y, 1, 2, before=node)
        else:
            y = graph.call(aten.reshape.default, y, list(shape(node)), before=node)
        graph.replace(node, y)
        if plan.kind == "channels_last":
            sink(graph, y)  # so that the next layer finds it


EVERYWHERE = LinearToConv("linear_to_conv", vectors=True)
ON_MAPS = LinearToConv("linear_to_conv_on_maps", vectors=False)
