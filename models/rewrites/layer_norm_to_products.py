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

from dataclasses import dataclass

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten


@dataclass(frozen=True)
class Norm:
    """Gain and bias (C,), or None."""

    gain: Tensor | None
    bias: Tensor | None
    eps: float


class LayerNormToProducts(Rewrite):
    name = "layer_norm_to_products"
    reason = "ExecuTorch's delegate has no layer norm; a linear layer with one output is the mean that it needs"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.layer_norm.default

    def check(self, graph: Graph, node: fx.Node) -> Norm:
        if len(argument(node, 1)) != 1:
            raise RewriteRefused("it normalises over more than one dimension")
        gain, bias = (graph.constant(argument(node, index)) for index in (2, 3))
        if any(argument(node, index) is not None and held is None for index, held in ((2, gain), (3, bias))):
            raise RewriteRefused("its gain or bias is computed")
        return Norm(gain, bias, argument(node, 4))

    def rewrite(self, graph: Graph, node: fx.Node, plan: Norm) -> None:
        x = source(node)
        channels = shape(x)[-1]
        mean = graph.add_constant(torch.full((1, channels), 1.0 / channels), "mean", before=node)
        centred = graph.call(aten.sub.Tensor, x, graph.call(aten.linear.default, x, mean, before=node), before=node)
        square = graph.call(aten.mul.Tensor, centred, centred, before=node)
        variance = graph.call(aten.linear.default, square, mean, before=node)
        safe = graph.call(aten.add.Tensor, variance, plan.eps, before=node)
        y = graph.call(aten.mul.Tensor, centred, graph.call(aten.rsqrt.default, safe, before=node), before=node)
        for operator, parameter, neutral in ((aten.mul.Tensor, plan.gain, 1.0), (aten.add.Tensor, plan.bias, 0.0)):
            if parameter is not None and bool((parameter != neutral).any()):
                held = graph.add_constant(parameter, "norm_parameter", before=node)
                y = graph.call(operator, y, held, before=node)
        graph.replace(node, y)


REWRITE = LayerNormToProducts()
