"""layer_norm over the last dimension -> means by linear layers, and elementwise operators.

    mean     m = x K^T              K: (1, C), all 1/C
    centred  d = x - m
    norm     y = d rsqrt(d^2 K^T + eps) gain + bias

ExecuTorch's XNNPACK delegate has neither a layer norm nor a mean over channels, so `native_layer_norm` ends the delegate
and runs in a portable kernel: 18 of 112 million Arm instructions in an int8 EdgeViT-XXS. A linear layer with one output
is a mean.

XNNPACK's linear layer adds one product after the other, so that a sum of many terms rounds more than the portable kernel's:
the largest error of a float Swin-T grew from 3.0e-5 to 1.2e-4 σ. For float networks a mean is that of eight parts
(`layer_norm_to_partial_sums`): a linear layer of eight outputs, each the sum of C/8 terms, and one of one output. With it
the error is 2.5e-5 σ.

In an int8 network all of this stays in float (the region "normalization" of a recipe).
"""

from __future__ import annotations

import torch
from torch import Tensor, fx

from .graph import Graph, shape, source
from .layer_norm import Norm, norm_by_layers, norm_by_means, norm_over_channels
from .rewrite import Rewrite

aten = torch.ops.aten
PARTS = 8  # the columns of a tile of XNNPACK's float matrix product


class LayerNormToProducts(Rewrite):
    name = "layer_norm_to_products"
    reason = "ExecuTorch's delegate has no layer norm; a linear layer with one output is the mean that it needs"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.layer_norm.default

    def check(self, graph: Graph, node: fx.Node) -> Norm:
        return norm_over_channels(graph, node)

    def rewrite(self, graph: Graph, node: fx.Node, plan: Norm) -> None:
        x = source(node)
        graph.replace(node, norm_by_layers(graph, x, plan, aten.linear.default, shape(x)[-1:], before=node))


class LayerNormToPartialSums(LayerNormToProducts):
    """The same for float networks: each mean is that of eight parts."""

    name = "layer_norm_to_partial_sums"

    def rewrite(self, graph: Graph, node: fx.Node, plan: Norm) -> None:
        x = source(node)
        channels = shape(x)[-1]
        parts = graph.add_constant(_parts(channels), "parts", before=node)
        total = graph.add_constant(torch.full((1, PARTS), 1.0 / channels), "mean", before=node)

        def mean(value: fx.Node) -> fx.Node:
            sums = graph.call(aten.linear.default, value, parts, before=node)
            return graph.call(aten.linear.default, sums, total, before=node)

        graph.replace(node, norm_by_means(graph, x, plan, mean, (channels,), before=node))


def _parts(channels: int) -> Tensor:
    """Weight (8, C): row i is 1 for the i-th eighth of the channels."""
    part = torch.arange(channels) * PARTS // channels
    return torch.nn.functional.one_hot(part, PARTS).T.float()


REWRITE = LayerNormToProducts()
PARTIAL_SUMS = LayerNormToPartialSums()
