"""Linear with more outputs than inputs -> 1x1 convolution, on tokens as well.

    (..., T, C) = (1, 1, rows, C)          the same memory, channels last
    permute to channels first, 1x1 convolution, permute back

ONNX Runtime's int8 convolution works channels last: it drops both permutes. Its QLinearConv takes fewer Arm instructions
than QGemm where the outputs outnumber the inputs, in millions: 4096x24 by 96 2.4 and 2.9, 784x72 by 288 2.3 and 2.6,
64x168 by 672 0.85 and 0.93. The other way round it takes more: 256x352 by 88 0.90 and 0.87.

linear_to_conv.py has the layers that stand beside a permute.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, shape, source
from .layout import TO_CHANNELS_FIRST, TO_CHANNELS_LAST
from .rewrite import Rewrite

aten = torch.ops.aten


class WideLinearToConv(Rewrite):
    name = "wide_linear_to_conv"
    reason = "a channels-last int8 convolution writes many outputs with fewer instructions than a matrix product"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.linear.default

    def check(self, graph: Graph, node: fx.Node) -> Tensor:
        weight = graph.constant(argument(node, 1))
        if weight is None:
            raise RewriteRefused("its weight is computed")
        outputs, inputs = weight.shape
        if outputs <= inputs:
            raise RewriteRefused(f"it has {outputs} outputs of {inputs} inputs; a matrix product is as good")
        if math.prod(shape(source(node))[:-1]) == 1:
            raise RewriteRefused("its input is one vector, for which a matrix product is better")
        return weight[:, :, None, None]

    def rewrite(self, graph: Graph, node: fx.Node, plan: Tensor) -> None:
        x = source(node)
        rows = math.prod(shape(x)[:-1])
        y = graph.call(aten.reshape.default, x, [1, 1, rows, plan.shape[1]], before=node)
        y = graph.call(aten.permute.default, y, list(TO_CHANNELS_FIRST), before=node)
        kernel = graph.add_constant(plan, "conv_weight", before=node)
        y = graph.call(aten.conv2d.default, y, kernel, argument(node, 2), before=node)
        y = graph.call(aten.permute.default, y, list(TO_CHANNELS_LAST), before=node)
        graph.replace(node, graph.call(aten.reshape.default, y, list(shape(node)), before=node))


REWRITE = WideLinearToConv()
