"""EdgeViT: convolutions gather what is near, attention runs on a sparse grid, a transposed convolution spreads it again.

Pan et al., "EdgeViTs: Competing Light-weight CNNs on Mobile Devices with Vision Transformers", ECCV 2022,
https://arxiv.org/abs/2205.03436. Written anew from the description of the network of
https://github.com/saic-fi/edgevit (commit df3d070, Apache-2.0); state_dict keys and shapes are theirs. The authors
publish no weights.

What a reader of the paper would not expect:

- the "pooling" before the sparse attention has kernel 1: it keeps the top-left position of every r x r window;
- LayerNorms have eps 1e-6 before attention and MLP, and 1e-5 in the patch embeddings and after the propagation;
- the depths are those of the code. For s they give 13.1 M parameters where the paper prints 11.1 M.

The official module refuses any size but the one that it was made for; no weight depends on it, so this one takes every
multiple of 32.

Letters in shape comments: B batch, C channels, H W map, r sampling rate, N tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.core.spec import ModelSpec, Preprocessing, Source

from .layers import ChannelLayerNorm, Mlp, MultiHeadAttention, attend

RATES = (4, 2, 2, 1)  # of the sparse grid, by stage; at 1 attention is dense and nothing local surrounds it
MLP_RATIO = 4


@dataclass(frozen=True)
class Config:
    """What makes a variant different: blocks and channels of each stage, and the width of a head."""

    depths: tuple[int, int, int, int]
    dims: tuple[int, int, int, int]
    head_dim: int


def _depthwise(dim: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(dim, dim, kernel, padding=kernel // 2, groups=dim)


class PatchEmbed(nn.Module):
    """Convolution without overlap, then LayerNorm over channels."""

    def __init__(self, inp: int, out: int, patch: int) -> None:
        super().__init__()
        self.norm = ChannelLayerNorm(out, eps=1e-5)
        self.proj = nn.Conv2d(inp, out, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.proj(x))


class ConvMlp(nn.Module):
    """The MLP on a map: two 1x1 convolutions."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(dim, MLP_RATIO * dim, 1)
        self.fc2 = nn.Conv2d(MLP_RATIO * dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class LocalAgg(nn.Module):
    """Local aggregation: position convolution, 1x1 - depthwise 5x5 - 1x1 without activations, MLP; all residual."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pos_embed = _depthwise(dim, 3)
        self.norm1 = nn.BatchNorm2d(dim)
        self.conv1 = nn.Conv2d(dim, dim, 1)
        self.conv2 = nn.Conv2d(dim, dim, 1)
        self.attn = _depthwise(dim, 5)
        self.norm2 = nn.BatchNorm2d(dim)
        self.mlp = ConvMlp(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        x = x + self.conv2(self.attn(self.conv1(self.norm1(x))))
        return x + self.mlp(self.norm2(x))


class SparseAttention(nn.Module):
    """Attention among every r-th row and column, spread over r x r windows by a transposed convolution."""

    def __init__(self, dim: int, heads: int, rate: int) -> None:
        super().__init__()
        self.heads, self.rate = heads, rate
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.LocalProp = nn.ConvTranspose2d(dim, dim, rate, rate, groups=dim)
        self.norm = nn.LayerNorm(dim)  # eps 1e-5, unlike the block's norms

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, N, C) tokens of a map of `size` = (H, W), to (B, N, C)."""
        (h, w), r = size, self.rate
        batch, _, dim = x.shape
        grid = F.avg_pool2d(x.transpose(1, 2).reshape(batch, dim, h, w), 1, r)  # (B, C, H/r, W/r): picks, no mean
        y = attend(self.qkv(grid.flatten(2).transpose(1, 2)), self.heads)  # (B, N/r^2, C)
        y = self.LocalProp(y.transpose(1, 2).reshape(batch, dim, h // r, w // r))  # (B, C, H, W)
        return self.proj(self.norm(y.flatten(2).transpose(1, 2)))


class SelfAttn(nn.Module):
    """Position convolution, attention, MLP; all residual. (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, dim: int, heads: int, rate: int) -> None:
        super().__init__()
        self.pos_embed = _depthwise(dim, 3)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.sparse = rate > 1
        self.attn = SparseAttention(dim, heads, rate) if self.sparse else MultiHeadAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, MLP_RATIO * dim, nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        batch, dim, h, w = x.shape
        x = x + self.pos_embed(x)
        x = x.flatten(2).transpose(1, 2)  # (B, N, C)
        normed = self.norm1(x)
        x = x + (self.attn(normed, (h, w)) if self.sparse else self.attn(normed))
        x = x + self.mlp(self.norm2(x))
        return x.transpose(1, 2).reshape(batch, dim, h, w)


class Block(nn.Module):
    """Local, global, local: LocalAgg where the grid is sparse, then SelfAttn."""

    def __init__(self, dim: int, heads: int, rate: int) -> None:
        super().__init__()
        if rate > 1:
            self.LocalAgg = LocalAgg(dim)
        self.sparse = rate > 1
        self.SelfAttn = SelfAttn(dim, heads, rate)

    def forward(self, x: Tensor) -> Tensor:
        return self.SelfAttn(self.LocalAgg(x) if self.sparse else x)


class EdgeViT(nn.Module):
    """(B, 3, H, W) -> class logits (B, classes). Sides are multiples of 32."""

    def __init__(self, config: Config, num_classes: int = 1000) -> None:
        super().__init__()
        widths = (3, *config.dims)
        for i in range(4):
            self.add_module(f"patch_embed{i + 1}", PatchEmbed(widths[i], widths[i + 1], 4 if i == 0 else 2))
        for i, (depth, dim, rate) in enumerate(zip(config.depths, config.dims, RATES, strict=True)):
            blocks = (Block(dim, dim // config.head_dim, rate) for _ in range(depth))
            self.add_module(f"blocks{i + 1}", nn.Sequential(*blocks))
        self.norm = nn.BatchNorm2d(config.dims[-1])
        self.head = nn.Linear(config.dims[-1], num_classes)

    def forward_features(self, x: Tensor) -> tuple[Tensor, ...]:
        """The four stage outputs, at strides 4, 8, 16, 32."""
        maps = []
        for stage in (1, 2, 3, 4):
            x = self.get_submodule(f"blocks{stage}")(self.get_submodule(f"patch_embed{stage}")(x))
            maps.append(x)
        return tuple(maps)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.forward_features(x)[-1]).mean(dim=(2, 3)))


VARIANTS: dict[str, Config] = {
    "xxs": Config((1, 1, 3, 2), (36, 72, 144, 288), head_dim=36),
    "xs": Config((1, 1, 3, 1), (48, 96, 240, 384), head_dim=48),
    "s": Config((1, 2, 5, 3), (48, 96, 240, 384), head_dim=48),
}


def edgevit(variant: str, num_classes: int | None = None) -> EdgeViT:
    """Builds a variant in eval mode."""
    return EdgeViT(VARIANTS[variant], num_classes or 1000).eval()


SOURCE = Source(
    title="EdgeViTs: Competing Light-weight CNNs on Mobile Devices with Vision Transformers (ECCV 2022)",
    paper="https://arxiv.org/abs/2205.03436",
    repository="https://github.com/saic-fi/edgevit",
    commit="df3d070addc3dc761173429426eab5edeb0d6343",
    licence_code="Apache-2.0",
    licence_weights="no official weights",
)

# parameters, multiply-accumulates at 224x224
_COUNTS: dict[str, tuple[int, int]] = {
    "xxs": (4_067_704, 551_262_816),
    "xs": (6_770_056, 1_127_815_200),
    "s": (13_108_168, 1_911_021_792),
}


def _spec(variant: str) -> ModelSpec:
    parameters, macs = _COUNTS[variant]
    return ModelSpec(
        name=f"edgevit-{variant}",
        family="edgevit",
        task="classification",
        build=partial(edgevit, variant),
        num_classes=1000,
        input_size=(224, 224),
        parameters=parameters,
        source=SOURCE,
        classifier="head",
        macs=macs,
        preprocessing=Preprocessing(crop_pct=0.875, interpolation="bicubic"),
    )


SPECS: tuple[ModelSpec, ...] = tuple(_spec(variant) for variant in VARIANTS)
