"""Softmax over the last axis of an image  ->  the same over a list of rows.

    softmax(x, -1)  for x of (B, C, H, W)   ->   softmax(x.reshape(B*C, H, W), -1).reshape(B, C, H, W)

ExecuTorch's XNNPACK delegate keeps the output of a convolution in NHWC and computes softmax over what is last there, the
channels: 24 σ from the right result. A value of three dimensions is never in NHWC. docs/upstream has the minimal case.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, shape, source
from .rewrite import Rewrite

aten = torch.ops.aten
SOFTMAXES: tuple[Any, ...] = (aten.softmax.int, aten._softmax.default, aten.log_softmax.int)
# after these a value has torch's order of dimensions again
REORDERING: tuple[Any, ...] = (
    aten.reshape.default, aten.view.default, aten.flatten.using_ints, aten.matmul.default, aten.bmm.default,
)  # fmt: skip
IMAGE_LAYERS = ("conv", "pool", "upsample", "batch_norm", "pixel_")


class SoftmaxOverRows(Rewrite):
    name = "softmax_over_rows"
    reason = "ExecuTorch's delegate computes softmax over the channels of an image, whichever axis is asked for"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target in SOFTMAXES and len(shape(node)) == 4 and argument(node, 1) in (-1, 3)

    def check(self, graph: Graph, node: fx.Node) -> None:
        if not _is_of_an_image(source(node)):
            raise RewriteRefused("it reads no output of a convolution, so that it is in torch's order")

    def rewrite(self, graph: Graph, node: fx.Node, plan: None) -> None:
        batch, channels, height, width = shape(node)
        rows = graph.call(aten.reshape.default, source(node), [batch * channels, height, width], before=node)
        assert callable(node.target)
        result = graph.call(node.target, rows, -1, *node.args[2:], before=node, **node.kwargs)
        graph.replace(node, graph.call(aten.reshape.default, result, list(shape(node)), before=node))


def _is_of_an_image(value: fx.Node) -> bool:
    """Whether a value may still have the order in which a convolution wrote it."""
    todo, seen = [value], {value}
    while todo:
        node = todo.pop()
        if node.op != "call_function" or node.target in REORDERING:
            continue
        if any(layer in str(node.target) for layer in IMAGE_LAYERS):
            return True
        more = [n for n in node.all_input_nodes if n not in seen]
        todo += more
        seen.update(more)
    return False


REWRITE = SoftmaxOverRows()
