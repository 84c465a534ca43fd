"""layer_norm over the last dimension -> instance_norm over each row.

    layer_norm(x) = instance_norm(x as (1, rows, C))    every row is a "channel" of its own

ONNX Runtime's LayerNormalization computes value by value, its InstanceNormalization in vectors: 22 and 12 Arm
instructions a value at 24 channels, 16 and 7 at 64. A gain and a bias as operators of their own would cost more than that
saves: a norm that still has them after `fold_layer_norm_affine` is declined.
"""

from __future__ import annotations

import math

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten


class LayerNormToInstanceNorm(Rewrite):
    name = "layer_norm_to_instance_norm"
    reason = "ONNX Runtime computes a layer norm value by value, and an instance norm in vectors"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.layer_norm.default

    def check(self, graph: Graph, node: fx.Node) -> float:
        """The norm's epsilon."""
        if len(argument(node, 1)) != 1:
            raise RewriteRefused("it normalises over more than one dimension")
        for index, neutral in ((2, 1.0), (3, 0.0)):
            if argument(node, index) is None:
                continue
            held = graph.constant(argument(node, index))
            if held is None or not bool((held == neutral).all()):
                raise RewriteRefused("it has a gain or a bias that no layer took up")
        return float(argument(node, 4))

    def rewrite(self, graph: Graph, node: fx.Node, eps: float) -> None:
        *rows, channels = shape(node)
        flat = graph.call(aten.reshape.default, source(node), [1, math.prod(rows), channels], before=node)
        # neither gain nor bias, no running statistics: those of the input; momentum and cuDNN have no meaning then
        y = graph.call(aten.instance_norm.default, flat, None, None, None, None, True, 0.0, eps, False, before=node)
        graph.replace(node, graph.call(aten.reshape.default, y, [*rows, channels], before=node))


REWRITE = LayerNormToInstanceNorm()
