"""A captured network whose images are NHWC at its inputs and outputs, instead of torch's NCHW.

TFLite computes in NHWC. A file with NCHW inputs begins and ends with a transpose: 4.6 million Arm instructions for an
image of 512x512, of the 147 million that TopFormer-tiny takes in int8. Cameras and image decoders give NHWC anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from edgedeploy.models.rewrites.graph import Graph

aten = torch.ops.aten
TO_NCHW, TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]
RANK = 4


def with_channels_last_images(module: fx.GraphModule) -> fx.GraphModule:
    """The network with a permute behind each input of rank 4 and before each such output; parameters are shared."""
    graph = Graph(module)
    inputs = list(graph.graph.find_nodes(op="placeholder"))
    for node in filter(_is_image, inputs):
        readers = list(node.users)
        node.meta["val"] = node.meta["val"].permute(TO_NHWC)
        image = graph.call(aten.permute.default, node, TO_NCHW, before=inputs[-1].next)
        for reader in readers:
            reader.replace_input_with(node, image)
    (output,) = graph.graph.find_nodes(op="output")
    for node in filter(_is_image, output.all_input_nodes):
        output.replace_input_with(node, graph.call(aten.permute.default, node, TO_NHWC, before=output))
    return graph.finish()


def channels_last_sample(sample: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
    """A sample of the network's inputs as the adapted network takes it."""
    return tuple(np.ascontiguousarray(a.transpose(TO_NHWC)) if a.ndim == RANK else a for a in sample)


def _is_image(node: fx.Node) -> bool:
    return isinstance(node.meta.get("val"), Tensor) and node.meta["val"].ndim == RANK
