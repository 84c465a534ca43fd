"""layer_norm over the last dimension -> means by linear layers, and elementwise operators.

    mean     m = x K^T              K: (1, C), all 1/C
    centred  d = x - m
    norm     y = d rsqrt(d^2 K^T + eps) gain + bias

ExecuTorch's XNNPACK delegate has neither a layer norm nor a mean over channels, so `native_layer_norm` ends the delegate
and runs in a portable kernel: 18 of 112 million Arm instructions in an int8 EdgeViT-XXS. A linear layer with one output
is a mean.

In an int8 network all of this stays in float (the region "normalization" of a recipe).
"""

from __future__ import annotations

import torch
from torch import fx

from .graph import Graph, shape, source
from .layer_norm import Norm, norm_by_layers, norm_over_channels
from .rewrite import Rewrite

aten = torch.ops.aten


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


REWRITE = LayerNormToProducts()
