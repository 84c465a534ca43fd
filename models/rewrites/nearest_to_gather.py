"""Nearest resize by a ratio that is no whole number  ->  a gather of rows and one of columns.

    y[i, j] = x[r(i), c(j)]      r(i) = floor(i H / H'),  c(j) = floor(j W / W')

with the indices as constants, taken from torch's own resize of 0, 1, 2, ...; an axis of unchanged size is left out. LiteRT
rounds some of these ratios to the neighbouring row (3 rows to 7: 3.5 σ). docs/upstream has the minimal case.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from .graph import Graph, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten
NEAREST: dict[Any, Any] = {
    aten.upsample_nearest2d.vec: aten.upsample_nearest2d.vec,
    aten._upsample_nearest_exact2d.vec: aten._upsample_nearest_exact2d.vec,
}


class NearestToGather(Rewrite):
    name = "nearest_to_gather"
    reason = "LiteRT takes the wrong rows where a nearest resize has a ratio that is no whole number"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        if node.target not in NEAREST:
            return False
        old, new = shape(source(node))[2:], shape(node)[2:]
        # `resize_to_fixed_size` leaves the factors that torch samples by instead of the ratio of sizes
        return argument(node, 2) is not None or any(after % before for before, after in zip(old, new, strict=True))

    def check(self, graph: Graph, node: fx.Node) -> tuple[Tensor, Tensor]:
        """The row and the column that each row and column of the output is."""
        height, width = shape(source(node))[2:]
        rows = torch.arange(height, dtype=torch.float32).reshape(1, 1, height, 1).expand(1, 1, height, width)
        columns = torch.arange(width, dtype=torch.float32).reshape(1, 1, 1, width).expand(1, 1, height, width)
        size, factors = argument(node, 1), argument(node, 2)
        resize = NEAREST[node.target]
        return (
            resize(rows.contiguous(), size, factors)[0, 0, :, 0].long(),
            resize(columns.contiguous(), size, factors)[0, 0, 0].long(),
        )

    def rewrite(self, graph: Graph, node: fx.Node, plan: tuple[Tensor, Tensor]) -> None:
        value = source(node)
        for axis, indices in enumerate(plan, start=2):
            if not torch.equal(indices, torch.arange(shape(value)[axis])):
                read = graph.add_constant(indices, "nearest", before=node)
                value = graph.call(aten.index_select.default, value, axis, read, before=node)
        graph.replace(node, value)


REWRITE = NearestToGather()
