"""Means that the recipe leaves in float.

ExecuTorch's quantizer gives a mean the scale of what it reads, whatever its filter says, as if it were a view: its result
is rounded to steps of values that are many times larger.
"""

from __future__ import annotations

from typing import Any

from .annotations import annotate, may_quantize

MEANS = ("aten.mean.dim", "aten.mean.default")
VIEWS = ("aten.reshape.default", "aten.view.default", "aten.flatten.using_ints", "aten.squeeze.dim")


def release_means(graph: Any, quantizer: Any) -> None:
    """Takes from the means in float, and from views of them, the scale that they share.

    Args:
        graph: of a captured network that ExecuTorch's quantizer has annotated.
        quantizer: the XNNPACKQuantizer that did.
    """
    released = [node for node in graph.nodes if str(node.target) in MEANS and not may_quantize(quantizer, node)]
    for node in released:  # grows
        annotate(node)
        views = [reader for reader in node.users if str(reader.target) in VIEWS and not may_quantize(quantizer, reader)]
        released += views
