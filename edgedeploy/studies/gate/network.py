"""What the gate exports: a small network with the operators that the zoo's hybrid networks are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Self-attention of one head over all positions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = (
            nn.LayerNorm(channels),
            nn.Linear(channels, 3 * channels),
            nn.Linear(channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, positions, C) -> the same
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
        weights = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(dim=-1)
        return x + self.out(weights @ v)


class SmallHybrid(nn.Module):
    """A stem, a depthwise block, attention, and a classifier."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, 2, 1, bias=False), nn.BatchNorm2d(channels), nn.Hardswish())
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 2, 1, groups=channels, bias=False), nn.BatchNorm2d(channels), nn.ReLU6(),
            nn.Conv2d(channels, channels, 1), nn.GELU(),
        )  # fmt: skip
        self.attention = Attention(channels)
        self.head = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(self.stem(x)).flatten(2).transpose(1, 2)
        return self.head(self.attention(x).mean(dim=1))


def make() -> nn.Module:
    """The network with seeded weights."""
    torch.manual_seed(0)
    return SmallHybrid().eval()
