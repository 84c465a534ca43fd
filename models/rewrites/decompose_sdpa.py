"""scaled_dot_product_attention -> softmax(s q k^T + mask) v, as matrix products and a softmax.

No CPU delegate has the fused operator. Each exporter decomposes it in its own way, ExecuTorch's with guards against rows
that are masked as a whole. Decomposed here it has one form, which `fold_attention_scale` and the quantizers recognise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten


@dataclass(frozen=True)
class Attention:
    """The number that q is scaled by, and what is added to the logits: a value, or a constant (queries, keys)."""

    scale: float
    mask: fx.Node | Tensor | None


class DecomposeSdpa(Rewrite):
    name = "decompose_sdpa"
    reason = "no CPU delegate has attention as one operator; all have its parts"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.scaled_dot_product_attention.default

    def check(self, graph: Graph, node: fx.Node) -> Attention:
        if argument(node, 4):
            raise RewriteRefused("it drops weights at random")
        if node.kwargs.get("enable_gqa") or argument(node, 7):
            raise RewriteRefused("its heads share keys")
        mask: Any = argument(node, 3)
        if argument(node, 5):
            queries, keys = shape(source(node))[-2], shape(source(node, 1))[-2]
            mask = _added(torch.ones(queries, keys, dtype=torch.bool).tril())
        elif mask is not None and not mask.meta["val"].is_floating_point():
            kept = graph.constant(mask)
            if kept is None:
                raise RewriteRefused("its mask is boolean and computed, where a whole row may be masked")
            if not bool(kept.any(-1).all()):
                raise RewriteRefused("its mask leaves out a whole row")
            mask = _added(kept)
        scale: Any = node.kwargs.get("scale") or argument(node, 6) or shape(source(node))[-1] ** -0.5
        return Attention(float(scale), mask)

    def rewrite(self, graph: Graph, node: fx.Node, plan: Attention) -> None:
        q, k, v = (source(node, i) for i in range(3))
        scaled = graph.call(aten.mul.Tensor, q, plan.scale, before=node)
        transposed = graph.call(aten.transpose.int, k, -2, -1, before=node)
        logits = graph.call(aten.matmul.default, scaled, transposed, before=node)
        if plan.mask is not None:
            mask = plan.mask
            if isinstance(mask, Tensor):
                mask = graph.add_constant(mask, "mask", before=node)
            logits = graph.call(aten.add.Tensor, logits, mask, before=node)
        weights = graph.call(aten.softmax.int, logits, -1, before=node)
        graph.replace(node, graph.call(aten.matmul.default, weights, v, before=node))


def _added(kept: Tensor) -> Tensor:
    """A boolean mask as one that is added."""
    return torch.zeros(kept.shape).masked_fill(~kept, -torch.inf)


REWRITE = DecomposeSdpa()
