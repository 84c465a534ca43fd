"""layer_norm  ->  d = x - mean(x),  y = d * rsqrt(mean(d^2) + eps) * gain + bias

TFLite has no layer_norm, and its converter spells it y = x r - mean(x) r. Where the mean is large beside the spread, that
is the difference of two large products, each rounded, and float32 loses the digits in which they agree. Taking the mean off
first is no more work and leaves one rounding, that of the mean. It also leaves out
about half of the converter's reshapes (XFormer: 95 of 194).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from .graph import Graph, argument, source
from .rewrite import Rewrite

aten = torch.ops.aten


class CenterBeforeVariance(Rewrite):
    name = "center_before_variance"
    reason = "TFLite's converter spells a norm as a difference of large products; the mean comes off first here"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.layer_norm.default

    def check(self, graph: Graph, node: fx.Node) -> list[int]:
        return [-1 - i for i in range(len(argument(node, 1)))]

    def rewrite(self, graph: Graph, node: fx.Node, plan: list[int]) -> None:
        def call(target: Any, *args: Any) -> fx.Node:
            return graph.call(target, *args, before=node)

        x = source(node)
        centred = call(aten.sub.Tensor, x, call(aten.mean.dim, x, plan, True))
        variance = call(aten.mean.dim, call(aten.mul.Tensor, centred, centred), plan, True)
        root = call(aten.rsqrt.default, call(aten.add.Tensor, variance, argument(node, 4)))
        y = call(aten.mul.Tensor, centred, root)
        for operator, parameter in ((aten.mul.Tensor, argument(node, 2)), (aten.add.Tensor, argument(node, 3))):
            if parameter is not None:
                y = call(operator, y, parameter)
        graph.replace(node, y)


REWRITE = CenterBeforeVariance()
