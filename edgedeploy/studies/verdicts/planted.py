"""TopFormer-tiny with one operator too many: a slowdown whose cause is known.

edgedeploy export edgedeploy/studies/verdicts/planted.py:make --input 1x3x256x256 --target tflite-int8
"""

from __future__ import annotations

from torch import nn

from edgedeploy.models.topformer import topformer


def make() -> nn.Module:
    """The network with one more convolution, before its classifier; random weights."""
    network = topformer("tiny")
    head = network.decode_head
    assert isinstance(head, nn.Module)
    assert isinstance(head.conv_seg, nn.Conv2d)
    width = head.conv_seg.in_channels
    head.linear_fuse = nn.Sequential(head.linear_fuse, nn.Conv2d(width, width, (1, 3), padding=(0, 1)))  # type: ignore[arg-type]
    return network
