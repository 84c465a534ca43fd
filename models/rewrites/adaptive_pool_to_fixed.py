"""AdaptiveAvgPool -> fixed pooling, exact for every size.

Output cell i of n over a side of H averages the positions floor(i H / n) .. ceil((i+1) H / n) - 1.

    n = 1                a mean
    n divides H          a pooling with kernel and stride H / n
    otherwise            the windows have unequal lengths and overlap. Pooling is still linear and separable, so it is a
                         constant matrix per axis: y = P_h x P_w^T, with P[i, j] = 1 / length_i inside window i.

The third case is where tools that take kernel = H // n give wrong values (TopFormer at 480x480 pools 15 to 8).
"""

from __future__ import annotations

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten


class AdaptivePoolToFixed(Rewrite):
    name = "adaptive_pool_to_fixed"
    reason = "runtimes have no adaptive pooling; converters guess a kernel, which is wrong when the sizes do not divide"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.adaptive_avg_pool2d.default

    def check(self, graph: Graph, node: fx.Node) -> tuple[int, int]:
        if len(shape(source(node))) != 4:
            raise RewriteRefused("its input has no batch dimension")
        h, w = argument(node, 1)
        _, _, height, width = shape(source(node))
        return (height if h is None else h), (width if w is None else w)

    def rewrite(self, graph: Graph, node: fx.Node, plan: tuple[int, int]) -> None:
        x = source(node)
        height, width = shape(x)[2:]
        h, w = plan
        if (h, w) == (height, width):
            graph.replace(node, x)
        elif (h, w) == (1, 1):
            graph.replace(node, graph.call(aten.mean.dim, x, [2, 3], True, before=node))
        elif height % h == 0 and width % w == 0:
            kernel = [height // h, width // w]
            graph.replace(node, graph.call(aten.avg_pool2d.default, x, kernel, kernel, before=node))
        else:
            # columns first: (B, C, H, W) -> (B, C, H, w) -> (B, C, w, H) -> (B, C, w, h) -> (B, C, h, w)
            columns = graph.add_constant(pooling_matrix(width, w), "pool_columns", before=node)
            rows = graph.add_constant(pooling_matrix(height, h), "pool_rows", before=node)
            y = graph.call(aten.linear.default, x, columns, before=node)
            y = graph.call(aten.transpose.int, y, 2, 3, before=node)
            y = graph.call(aten.linear.default, y, rows, before=node)
            graph.replace(node, graph.call(aten.transpose.int, y, 2, 3, before=node))


def pooling_matrix(size: int, cells: int) -> Tensor:
    """(cells, size): row i holds 1/length on the positions that adaptive pooling averages into cell i."""
    matrix = torch.zeros(cells, size)
    for i in range(cells):
        start, end = i * size // cells, -(-(i + 1) * size // cells)
        matrix[i, start:end] = 1.0 / (end - start)
    return matrix


REWRITE = AdaptivePoolToFixed()
