"""Clamps behind layers, as XNNPACK's quantizer for ExecuTorch should see them.

Its rules for a layer with an activation know ReLU alone, although the delegate fuses every hardtanh too. Without a rule,
ReLU6 shares the scale of what it clamps, and the layer's own result is rounded first: values from -71 to 63, of which ReLU6
keeps 0 to 6, are left with 12 of 256 steps. The annotators look at an activation's type and its input and at nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def clamps_as_relu(graph: Any) -> Iterator[None]:
    """While it lasts, a clamp that is the one reader of a layer has the type of a ReLU."""
    import torch

    aten = torch.ops.aten
    layers = (aten.conv1d.default, aten.conv2d.default, aten.conv_transpose2d.input, aten.linear.default)
    clamps = {
        node: node.target
        for node in graph.nodes
        if node.target in (aten.hardtanh.default, aten.hardtanh_.default)
        and getattr(node.args[0], "target", None) in layers
        and len(node.args[0].users) == 1
    }
    for node in clamps:
        node.target = aten.relu.default
    try:
        yield
    finally:
        for node, target in clamps.items():
            node.target = target
