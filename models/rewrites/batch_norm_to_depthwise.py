"""A BatchNorm beside no layer  ->  a depthwise 1x1 convolution.

    y = s x + t        s = g / sqrt(var + eps),  t = beta - mean * s

Such a norm follows a sum, as in RepVit's blocks and behind EdgeViT's last stage. LiteRT has it as a product, a difference
and a sum, each of which rounds the whole map in int8; where the mean is large beside the deviation, the product's rounding
is most of the error. A convolution rounds once: its bias is an integer of 32 bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused

from .fold_batch_norm import affine_of
from .graph import Graph, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten


@dataclass(frozen=True)
class Plan:
    """The norm's scale and shift (C,), in float64."""

    scale: Tensor
    shift: Tensor


class BatchNormToDepthwise(Rewrite):
    name = "batch_norm_to_depthwise"
    reason = "a BatchNorm beside no layer rounds the map three times in int8, a convolution once"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.batch_norm.default

    def check(self, graph: Graph, node: fx.Node) -> Plan:
        if len(shape(node)) != 4:
            raise RewriteRefused("what it reads is no map of four dimensions")
        return Plan(*affine_of(graph, node))

    def rewrite(self, graph: Graph, node: fx.Node, plan: Plan) -> None:
        x, (channels,) = source(node), plan.scale.shape
        dtype = node.meta["val"].dtype
        weight = graph.add_constant(plan.scale.view(-1, 1, 1, 1).to(dtype), "norm_weight", before=node)
        bias = graph.add_constant(plan.shift.to(dtype), "norm_bias", before=node)
        convolution = graph.call(aten.conv2d.default, x, weight, bias, [1, 1], [0, 0], [1, 1], channels, before=node)
        graph.replace(node, convolution)


REWRITE = BatchNormToDepthwise()
