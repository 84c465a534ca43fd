"""matmul of four or more dimensions  ->  reshape, bmm of three, reshape back.

Exporters spell such a product as expand, reshape, bmm, reshape, because a matmul may broadcast. Where it does not, the
expand does nothing; but ExecuTorch's XNNPACK delegate does not take it, so that it ends the delegate and copies the operand
in a portable kernel: 3 of 100 million Arm instructions in an int8 EdgeViT-XXS, besides the calls of more delegates.
"""

from __future__ import annotations

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten


class MatmulToBmm(Rewrite):
    name = "matmul_to_bmm"
    reason = "a matmul that may broadcast is exported with copies of its operands, a product of three dimensions is not"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.matmul.default and len(shape(node)) > 3

    def check(self, graph: Graph, node: fx.Node) -> None:
        if shape(source(node, 0))[:-2] != shape(node)[:-2] or shape(source(node, 1))[:-2] != shape(node)[:-2]:
            raise RewriteRefused("an operand is broadcast")

    def rewrite(self, graph: Graph, node: fx.Node, plan: None) -> None:
        operands = []
        for index in (0, 1):
            operand = source(node, index)
            operands.append(graph.call(aten.reshape.default, operand, [-1, *shape(operand)[-2:]], before=node))
        product = graph.call(aten.bmm.default, *operands, before=node)
        graph.replace(node, graph.call(aten.reshape.default, product, list(shape(node)), before=node))


REWRITE = MatmulToBmm()
