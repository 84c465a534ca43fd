"""Layers that two or more families share. What only one family needs is in its own file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channel vector at every position of a (B, C, H, W) map.

    Written as a LayerNorm between two permutes; a rewrite chooses the form that a runtime likes best.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__(channels, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNormAct(nn.Module):
    """Convolution without bias (`conv`), BatchNorm (`bn`), and SiLU unless `act` is False. Padding keeps the size."""

    def __init__(
        self, inp: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1, *, act: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inp, out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return F.silu(x) if self.act else x


class Mlp(nn.Module):
    """Two linear layers (`fc1`, `fc2`) on the last axis, with an activation between them."""

    def __init__(self, dim: int, hidden: int, act: nn.Module) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = act
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


def attend(qkv: Tensor, heads: int) -> Tensor:
    """Softmax attention among N tokens: (B, N, 3C) -> (B, N, C). The last axis is read as (3, h heads, d), d = C/h."""
    batch, tokens, width = qkv.shape
    dim = width // 3
    q, k, v = qkv.reshape(batch, tokens, 3, heads, dim // heads).permute(2, 0, 3, 1, 4).unbind(0)  # each (B, h, N, d)
    weights = (q @ k.transpose(-2, -1) * (dim // heads) ** -0.5).softmax(dim=-1)  # (B, h, N, N)
    return (weights @ v).transpose(1, 2).reshape(batch, tokens, dim)


class MultiHeadAttention(nn.Module):
    """Softmax attention among N tokens: (B, N, C) -> (B, N, C). One linear layer `qkv`, one `proj`, both with bias."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(attend(self.qkv(x), self.heads))


def unfold_patches(x: Tensor, patch: int) -> Tensor:
    """(B, C, H, W) -> (B*p*p, N, C): one sequence of N = H/p * W/p tokens for each position inside a p x p patch."""
    batch, channels, h, w = x.shape
    x = x.reshape(batch * channels * (h // patch), patch, w // patch, patch).transpose(1, 2)  # (B*C*H/p, W/p, p, p)
    x = x.reshape(batch, channels, (h // patch) * (w // patch), patch * patch)  # (B, C, N, p*p)
    return x.permute(0, 3, 2, 1).reshape(batch * patch * patch, (h // patch) * (w // patch), channels)


def fold_patches(x: Tensor, patch: int, size: tuple[int, int]) -> Tensor:
    """The inverse of `unfold_patches`, for a map of `size` = (H, W)."""
    h, w = size
    channels = x.shape[-1]
    batch = x.shape[0] // (patch * patch)
    x = x.reshape(batch, patch * patch, -1, channels).permute(0, 3, 2, 1)  # (B, C, N, p*p)
    x = x.reshape(batch * channels * (h // patch), w // patch, patch, patch).transpose(1, 2)  # (B*C*H/p, p, W/p, p)
    return x.reshape(batch, channels, h, w)


def on_patches(x: Tensor, patch: int, layers: Callable[[Tensor], Tensor]) -> Tensor:
    """`layers`, (B*p*p, N, C) -> (B*p*p, N, C), among pixels at the same position of the patches of a map (B, C, H, W)."""
    size = (x.shape[2], x.shape[3])
    return fold_patches(layers(unfold_patches(x, patch)), patch, size)


def conv_bn_act(
    inp: int, out: int, kernel: int, stride: int = 1, *, act: type[nn.Module] | None, groups: int = 1
) -> nn.Sequential:
    """Convolution without bias (0), BatchNorm (1), activation (2) or none, numbered as torchvision numbers them."""
    conv = nn.Conv2d(inp, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    norm = nn.BatchNorm2d(out)
    return nn.Sequential(conv, norm) if act is None else nn.Sequential(conv, norm, act())


def outputs_of(stages: Iterable[nn.Module], x: Tensor) -> tuple[Tensor, ...]:
    """The output of every stage; each reads the one before it, the first one `x`."""
    maps = []
    for stage in stages:
        x = stage(x)
        maps.append(x)
    return tuple(maps)


class MobileNet(nn.Module):
    """A network of torchvision's form: `features`, the mean over positions, `classifier`.

    A subclass sets these two, and `feature_layers`: the layers of `features` whose outputs are the four stage outputs.
    """

    features: nn.Sequential
    classifier: nn.Sequential
    feature_layers: tuple[int, ...]

    def forward_features(self, x: Tensor) -> tuple[Tensor, ...]:
        """The last block's output at strides 4, 8, 16, 32; the last convolution belongs to the classifier."""
        maps = outputs_of(list(self.features)[: self.feature_layers[-1] + 1], x)
        return tuple(maps[index] for index in self.feature_layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean(dim=(2, 3)))


def last_layers(strides: Sequence[int]) -> tuple[int, ...]:
    """For the strides 4, 8, 16, 32 the index of the last layer at it, where each layer has one of `strides`."""
    total = [math.prod(strides[: i + 1]) for i in range(len(strides))]
    return tuple(max(i for i, stride in enumerate(total) if stride == wanted) for wanted in (4, 8, 16, 32))


class DownsampledStages(nn.Module):
    """A network of four stages, each behind a layer that makes the map smaller."""

    downsample_layers: nn.ModuleList
    stages: nn.ModuleList

    def forward_features(self, x: Tensor) -> tuple[Tensor, ...]:
        """The four stage outputs, at strides 4, 8, 16, 32."""
        maps = []
        for downsample, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(downsample(x))
            maps.append(x)
        return tuple(maps)
