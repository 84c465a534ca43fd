"""Swin Transformer, a baseline: attention inside windows, which a cyclic shift moves every other block.

Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021,
https://arxiv.org/abs/2103.14030. Keys and shapes are those of torchvision's `swin_t` checkpoint (BSD-3-Clause), which
loads as it is; the authors' own checkpoint has other names.

The shift is a `torch.roll` and its mask is computed in the forward pass, as in the paper; the rewrites
`window_shift_to_gather` and `fold_constants` remove both at export.

Sides are multiples of 32, so that every map can be merged 2x2. A map that is no multiple of the window (7) is padded with
zeros on the right and at the bottom, after the norm, and cut again; the padding takes part in attention, as torchvision
has it. At 224 and its multiples nothing is padded.

Letters in shape comments: B batch, C channels, H W map (padded), h heads of width d = C/h, T = 49 tokens of a window,
n windows of an image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.core.spec import ModelSpec, Preprocessing, Source

WINDOW = 7
SHIFT = WINDOW // 2
MLP_RATIO = 4
MASKED = -100.0  # added to the logits between tokens that were no neighbours before the shift


@dataclass(frozen=True)
class Config:
    """What makes a variant different: blocks and heads of each stage, and the first stage's channels."""

    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]
    dim: int


def partition(x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B*n, T, C)."""
    batch, h, w, channels = x.shape
    x = x.reshape(batch, h // WINDOW, WINDOW, w // WINDOW, WINDOW, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, WINDOW * WINDOW, channels)


def unpartition(x: Tensor, h: int, w: int) -> Tensor:
    """(B*n, T, C) -> (B, H, W, C), the inverse of `partition`."""
    x = x.reshape(-1, h // WINDOW, w // WINDOW, WINDOW, WINDOW, x.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, h, w, x.shape[-1])


def shift_mask(h: int, w: int, shift: tuple[int, int], device: torch.device) -> Tensor:
    """(n, 1, T, T): 0 between tokens of one region of the unshifted map, MASKED between others.

    Along an axis the rolled map has three regions: whole windows, the part of the last window that was there before,
    and the part that wrapped around.
    """

    def region(length: int, step: int) -> Tensor:
        position = torch.arange(length, device=device)
        return torch.where(position < length - WINDOW, 0, torch.where(position < length - step, 1, 2))

    regions = 3 * region(h, shift[0])[:, None] + region(w, shift[1])[None, :]  # (H, W)
    tokens = partition(regions[None, :, :, None]).squeeze(-1)  # (n, T)
    apart = tokens[:, None, :, None] != tokens[:, None, None, :]
    return torch.where(apart, MASKED, 0.0)


def relative_position_index() -> Tensor:
    """(T*T,): for each pair of a window's tokens, the row of the bias table that belongs to their distance."""
    position = torch.arange(WINDOW * WINDOW)
    row, column = position // WINDOW, position % WINDOW
    down = row[:, None] - row[None, :] + WINDOW - 1
    right = column[:, None] - column[None, :] + WINDOW - 1
    return (down * (2 * WINDOW - 1) + right).flatten()


class WindowAttention(nn.Module):
    """Attention inside (shifted) windows: (B, H, W, C) -> (B, H, W, C), for unpadded H and W."""

    def __init__(self, dim: int, heads: int, shift: int) -> None:
        super().__init__()
        self.heads, self.shift = heads, shift
        self.scale = (dim // heads) ** -0.5
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * WINDOW - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", relative_position_index())
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def bias(self) -> Tensor:
        """(1, h, T, T)."""
        tokens = WINDOW * WINDOW
        table = self.relative_position_bias_table[self.get_buffer("relative_position_index")]
        return table.reshape(tokens, tokens, self.heads).permute(2, 0, 1)[None]

    def attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B*n, T, C) -> (B*n, T, C)."""
        windows, tokens, dim = x.shape
        # (B*n, T, 3C) -> (B*n, T, 3, h, d) -> (3, B*n, h, T, d)
        qkv = self.qkv(x).reshape(windows, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        logits = q * self.scale @ k.transpose(-2, -1) + self.bias()  # (B*n, h, T, T)
        if mask is not None:
            logits = logits + mask.repeat(windows // mask.shape[0], 1, 1, 1)  # the same for each image
        y = (logits.softmax(dim=-1) @ v).transpose(1, 2).reshape(windows, tokens, dim)
        return self.proj(y)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[1], x.shape[2]
        bottom, right = -height % WINDOW, -width % WINDOW
        if bottom or right:
            x = F.pad(x, (0, 0, 0, right, 0, bottom))
        h, w = height + bottom, width + right
        # an axis that one window covers is not shifted
        shift = (self.shift if h > WINDOW else 0, self.shift if w > WINDOW else 0)
        if any(shift):
            x = torch.roll(x, (-shift[0], -shift[1]), dims=(1, 2))
            x = self.attend(partition(x), shift_mask(h, w, shift, x.device))
            x = torch.roll(unpartition(x, h, w), shift, dims=(1, 2))
        else:
            x = unpartition(self.attend(partition(x), None), h, w)
        return x[:, :height, :width] if bottom or right else x


class Block(nn.Module):
    """Pre-norm window attention and MLP, both residual, on a channel-last map."""

    def __init__(self, dim: int, heads: int, shift: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, heads, shift)
        self.norm2 = nn.LayerNorm(dim)
        # 2 is dropout's slot
        self.mlp = nn.Sequential(
            nn.Linear(dim, MLP_RATIO * dim), nn.GELU(), nn.Identity(), nn.Linear(MLP_RATIO * dim, dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    """Each 2x2 neighbourhood becomes one position: (B, H, W, C) -> (B, H/2, W/2, 2C)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = nn.LayerNorm(4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = x[:, 0::2], x[:, 1::2]
        x = torch.cat((top[:, :, 0::2], bottom[:, :, 0::2], top[:, :, 1::2], bottom[:, :, 1::2]), dim=-1)
        return self.reduction(self.norm(x))


class ToChannelLast(nn.Module):
    """(B, C, H, W) -> (B, H, W, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


class Swin(nn.Module):
    """(B, 3, H, W) -> class logits (B, classes). Sides are multiples of 32."""

    def __init__(self, config: Config, num_classes: int = 1000) -> None:
        super().__init__()
        dim = config.dim
        # even indices: patch embedding and merging; odd ones: the stages
        layers: list[nn.Module] = [nn.Sequential(nn.Conv2d(3, dim, 4, 4), ToChannelLast(), nn.LayerNorm(dim))]
        for stage, (depth, heads) in enumerate(zip(config.depths, config.heads, strict=True)):
            if stage > 0:
                layers.append(PatchMerging(dim))
                dim *= 2
            layers.append(nn.Sequential(*(Block(dim, heads, SHIFT if i % 2 else 0) for i in range(depth))))
        self.features = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, num_classes)

    def forward_features(self, x: Tensor) -> tuple[Tensor, ...]:
        """The four stage outputs, at strides 4, 8, 16, 32, channel-first and not normalised."""
        maps = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index % 2:
                maps.append(x.permute(0, 3, 1, 2))
        return tuple(maps)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.features(x))  # (B, H/32, W/32, C)
        return self.head(x.mean(dim=(1, 2)))


VARIANTS: dict[str, Config] = {
    "tiny": Config(depths=(2, 2, 6, 2), heads=(3, 6, 12, 24), dim=96),
}


def swin(variant: str, num_classes: int | None = None) -> Swin:
    """Builds a variant in eval mode."""
    return Swin(VARIANTS[variant], num_classes or 1000).eval()


SOURCE = Source(
    title="Swin Transformer: Hierarchical Vision Transformer using Shifted Windows (ICCV 2021)",
    paper="https://arxiv.org/abs/2103.14030",
    repository="https://github.com/pytorch/vision",
    commit="v0.29.2",
    licence_code="BSD-3-Clause",
    licence_weights="BSD-3-Clause (torchvision's; trained on ImageNet)",
    weights_url="https://download.pytorch.org/models/swin_t-704ceda3.pth",
)

SPECS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="swin-tiny",
        family="swin",
        task="classification",
        build=partial(swin, "tiny"),
        num_classes=1000,
        input_size=(224, 224),
        parameters=28_288_354,
        source=SOURCE,
        classifier="head",
        macs=4_490_566_656,
        preprocessing=Preprocessing(crop_pct=224 / 232, interpolation="bicubic"),
    ),
)
