"""The output of a segmentation network: logits as they come, logits at full size, or labels.

logits      (B, C, h/8, w/8) float     default; the caller resizes, as the authors do
upsampled   (B, C, h, w)     float     resized bilinearly; 150 classes at 512x512 take 157 MB
labels      (B, h, w)        uint8     largest class per pixel; see rewrites/argmax_over_candidates.py for its cost
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEADS = ("logits", "upsampled", "labels")


class Upsampled(nn.Module):
    """Resizes logits to the input's size."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.network(x), size=x.shape[-2:], mode="bilinear", align_corners=False)


class Labels(Upsampled):
    """The largest class per pixel of the resized logits; uint8, or int32 for more than 256 classes."""

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return logits.argmax(dim=1).to(torch.uint8 if logits.shape[1] <= 256 else torch.int32)


def with_head(network: nn.Module, head: str) -> nn.Module:
    """The network with one of HEADS, in eval mode."""
    wrappers = {"logits": None, "upsampled": Upsampled, "labels": Labels}
    wrapper = wrappers[head]
    return network if wrapper is None else wrapper(network).eval()
