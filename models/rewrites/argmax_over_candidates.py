"""argmax(resize(logits)) -> candidates per cell, resized alone: the labels tail of a segmentation network.

Computed directly, all C class maps are resized to full size and the largest is taken per pixel: at 512x512 and 150 classes
that is 39 million interpolations and 157 MB of memory, more than the network itself. Between four neighbouring logit
positions (a cell of s x s pixels) bilinear values are convex combinations of the four corners, so only classes that are
large at some corner can win there. Per cell:

    1. rank classes by (largest + mean of their four corner values), keep the best K
    2. resize those K alone: (K, 4 corners) @ (4, s*s weights), a constant matrix
    3. the largest of K is the label

Where the four corners agree on one class the result is exact for any K (that class is the largest at every convex
combination). Elsewhere a class outside the K best could still win between the corners; the share of such pixels is
measured at every export and written into the manifest; above the bound the rewrite is not applied.

Idea of filtering classes before the resize: "VIM" in PP-MobileSeg, https://arxiv.org/abs/2304.05152, which filters per
image and by the low-resolution labels alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused
from edgedeploy.core.provenance import Exactness

from .graph import Graph, argument, shape
from .rewrite import Rewrite

aten = torch.ops.aten
CANDIDATES = 8


@dataclass(frozen=True)
class Tail:
    """The logits (B, C, h, w) and the whole factor that they are resized by."""

    logits: fx.Node
    factor: int


class ArgmaxOverCandidates(Rewrite):
    name = "argmax_over_candidates"
    reason = (
        "resizing every class map to full size costs more than the network; at most a few classes can win in a cell"
    )
    # Seeded random networks have far more fragmented labels than trained ones: 118 classes within one photograph, 0.1 %
    # of pixels differ. Maps with the smoothness of real ones do not differ at all.
    exactness = Exactness("approximate", relative_error=0.0, differing_share=0.01)

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        source = node.args[0] if node.args else None
        return (
            node.target == aten.argmax.default
            and isinstance(source, fx.Node)
            and source.target == aten.upsample_bilinear2d.vec
        )

    def check(self, graph: Graph, node: fx.Node) -> Tail:
        resize = node.args[0]
        assert isinstance(resize, fx.Node)
        logits = resize.args[0]
        assert isinstance(logits, fx.Node)
        _, classes, h, w = shape(logits)
        height, width = shape(resize)[2:]
        if argument(node, 1) not in (1, -3) or argument(node, 2, False):
            raise RewriteRefused("the argmax is not over the class axis")
        if len(resize.users) != 1:
            raise RewriteRefused("the full-size logits are an output too")
        if argument(resize, 2):
            raise RewriteRefused("the resize aligns corners: its cells do not fall on whole pixels")
        factor = height // h
        if height != factor * h or width != factor * w or factor % 2:
            raise RewriteRefused(f"{h}x{w} to {height}x{width} is not one even factor")
        if classes <= CANDIDATES:
            raise RewriteRefused(f"{classes} classes are too few to gain by it")
        return Tail(logits, factor)

    def rewrite(self, graph: Graph, node: fx.Node, plan: Tail) -> None:
        weights = corner_weights(plan.factor)

        def tail(logits: Tensor) -> Tensor:
            return candidate_labels(logits, weights, CANDIDATES)

        graph.replace(node, graph.inline(tail, plan.logits, before=node))


def corner_weights(factor: int) -> Tensor:
    """(4, factor*factor): how much each corner of a cell counts at each pixel, with half-pixel centres."""
    t = (torch.arange(factor) + 0.5) / factor
    column = torch.stack([1 - t, t])  # (2, factor)
    return torch.einsum("yp,xq->yxpq", column, column).reshape(4, factor * factor)


def candidate_labels(logits: Tensor, weights: Tensor, candidates: int) -> Tensor:
    """Labels (B, factor*h, factor*w) int64 of logits (B, C, h, w) and `corner_weights(factor)`; see the module's docstring.

    Cells lie between logit positions, so there are (h+1) x (w+1) of them with the border repeated, and half a cell is
    cut off at each side.
    """
    batch, classes, h, w = logits.shape
    factor = math.isqrt(weights.shape[1])
    rows, columns, half = h + 1, w + 1, factor // 2
    cells = rows * columns
    # (B, cells, C) per corner: channels last, so that ranking and picking run along contiguous memory
    padded = F.pad(logits, (1, 1, 1, 1), mode="replicate").permute(0, 2, 3, 1)
    corners = [padded[:, y : y + rows, x : x + columns].reshape(batch, cells, classes) for y in (0, 1) for x in (0, 1)]
    total = corners[0] + corners[1] + corners[2] + corners[3]
    largest = torch.maximum(torch.maximum(corners[0], corners[1]), torch.maximum(corners[2], corners[3]))
    best = (largest + total * 0.25).topk(candidates, dim=-1).indices  # (B, cells, K)
    picked = torch.stack([corner.gather(-1, best) for corner in corners], dim=-1)  # (B, cells, K, 4)
    values = picked @ weights  # (B, cells, K, factor²)
    winner = values.argmax(dim=2)  # (B, cells, factor²), an index into the K candidates
    labels = best.gather(-1, winner)
    labels = labels.reshape(batch, rows, columns, factor, factor).permute(0, 1, 3, 2, 4)
    labels = labels.reshape(batch, rows * factor, columns * factor)
    return labels[:, half : half + h * factor, half : half + w * factor]


REWRITE = ArgmaxOverCandidates()
