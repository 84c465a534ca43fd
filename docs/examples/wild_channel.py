"""A network that int8 breaks: in one of its six blocks a channel is a thousand times larger than the others."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Two convolutions with an activation between them, beside the identity."""

    def __init__(self, channels: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(channels, channels, 3, padding=1), activation()
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.proj(self.act(self.conv(x)))


class Network(nn.Module):
    """A stem, six blocks, a head. Channel 5 in block 3 is scaled by 1000 and back: the float network is unharmed."""

    def __init__(self, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        blocks = [Block(16, activation) for _ in range(6)]
        self.stages, self.pool, self.head = nn.Sequential(*blocks), nn.AdaptiveAvgPool2d(1), nn.Linear(16, 10)
        wild = blocks[3].conv
        assert wild.bias is not None
        with torch.no_grad():
            wild.weight[5] *= 1000
            wild.bias[5] *= 1000
            blocks[3].proj.weight[:, 5] /= 1000

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.stages(self.stem(x))).flatten(1))


def hard_swish() -> nn.Module:
    """Channels cannot be equalized through a hard swish: only an exception helps."""
    torch.manual_seed(0)
    return Network(nn.Hardswish).eval()


def relu() -> nn.Module:
    """Channels can be equalized through a ReLU."""
    torch.manual_seed(0)
    return Network(nn.ReLU).eval()
