"""A bilinear resize  ->  two matrix products.

    y = A x B^T        A (H, h), B (W, w): the weights of each output row and column

ONNX Runtime resizes channel-first float maps value by value: 26 Arm instructions an output. The products take a third of
an instruction for each multiplication, h w / W + w of them an output (rows first): from 8x8 to 64x64 4 instructions an
output, from 16x16 8, from 32x32 16. From larger maps they would cost more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten
# An output
MOST_MACS = 64


@dataclass(frozen=True)
class Plan:
    """Weights of rows (H, h) and columns (W, w)."""

    rows: Tensor
    columns: Tensor


class ResizeToProducts(Rewrite):
    name = "resize_to_products"
    reason = "ONNX Runtime resizes value by value; from a small map, two matrix products take half of that or less"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.upsample_bilinear2d.vec

    def check(self, graph: Graph, node: fx.Node) -> Plan:
        (height, width), (tall, wide) = shape(source(node))[2:], shape(node)[2:]
        if argument(node, 3) is not None:
            raise RewriteRefused("it has scale factors")
        macs = height * width / wide + width
        if macs > MOST_MACS:
            raise RewriteRefused(f"from {height}x{width} to {tall}x{wide} the products would cost more")
        corners = bool(argument(node, 2))
        return Plan(_weights(height, tall, corners), _weights(width, wide, corners))

    def rewrite(self, graph: Graph, node: fx.Node, plan: Plan) -> None:
        rows = graph.add_constant(plan.rows, "rows", before=node)
        columns = graph.add_constant(plan.columns.T, "columns", before=node)
        y = graph.call(aten.matmul.default, rows, source(node), before=node)
        graph.replace(node, graph.call(aten.matmul.default, y, columns, before=node))


def _weights(old: int, new: int, corners: bool) -> Tensor:
    """The weights (new, old) of a bilinear resize of one side."""
    unit = torch.eye(old).reshape(1, 1, old, old)
    resized: Tensor = aten.upsample_bilinear2d.vec(unit, [new, old], corners, None)
    return resized[0, 0]


REWRITE = ResizeToProducts()
