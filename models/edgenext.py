"""EdgeNeXt: depthwise convolution encoders, and attention over channels after a cascade of split convolutions.

Maaz et al., "EdgeNeXt: Efficiently Amalgamated CNN-Transformer Architecture for Mobile Vision Applications",
CADL workshop at ECCV 2022, https://arxiv.org/abs/2206.10589. Written anew from the description of the network that the
checkpoints of https://github.com/mmaaz60/EdgeNeXt (commit 3884504, MIT) expect; state_dict keys and shapes are theirs,
and `from_timm` takes timm's.

Where the paper and the released code differ, this follows the code, since the weights do:

- the channel split's last chunk passes untouched, not the first, and it may be narrower than the others;
- the position encoding is added to the trunk, so it also flows through the inner residual;
- the bn-hs variants (BatchNorm, hard-swish) normalise the trunk itself before the attention, so the inner residual
  carries the normalised tensor, and they normalise before the final mean instead of after it.

Letters in shape comments: B batch, C channels, H W map, N = H*W tokens, h heads of width d = C/h.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.core.spec import ModelSpec, Preprocessing, Source

from .layers import ChannelLayerNorm, DownsampledStages

KERNELS = (3, 5, 7, 9)  # of the convolution encoders, by stage
SCALES = (2, 2, 3, 4)  # channel chunks of the SDTA encoder, by stage; stage 1 has none
EXPANSION = 4
LAYER_SCALE = 1e-6  # initial value of gamma and gamma_xca
FREQUENCIES = 32  # channels of the position encoding for rows, and for columns
POSITION_STAGE = 1  # zero-based: the only stage whose SDTA encoder adds the position encoding


@dataclass(frozen=True)
class Config:
    """What makes a variant different.

    Attributes:
        depths: blocks of each stage; the last block of stages 2, 3 and 4 is the SDTA encoder.
        dims: channels of each stage.
        heads: attention heads, the same in all stages.
        bn_hs: BatchNorm and hard-swish instead of LayerNorm and GELU.
    """

    depths: tuple[int, int, int, int]
    dims: tuple[int, int, int, int]
    heads: int
    bn_hs: bool = False


class Block(nn.Module):
    """What both encoders end with: norm, then two linear layers on the channels, scaled by `gamma`."""

    def __init__(self) -> None:
        super().__init__()
        self.norm: nn.Module
        self.pwconv1: nn.Module
        self.pwconv2: nn.Module
        self.gamma: nn.Parameter

    def add_pointwise(self, dim: int, *, bn_hs: bool) -> None:
        """Makes the layers; called last in a constructor, so that the official key order is kept."""
        self.norm = nn.BatchNorm2d(dim) if bn_hs else nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, EXPANSION * dim)
        self.act = nn.Hardswish() if bn_hs else nn.GELU()
        self.pwconv2 = nn.Linear(EXPANSION * dim, dim)

    def pointwise(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        channel_first = isinstance(self.norm, nn.BatchNorm2d)
        if channel_first:
            x = self.norm(x)
        x = x.permute(0, 2, 3, 1)  # (B, H, W, C)
        if not channel_first:
            x = self.norm(x)
        x = self.gamma * self.pwconv2(self.act(self.pwconv1(x)))
        return x.permute(0, 3, 1, 2)


class ConvEncoder(Block):
    """Depthwise k x k, then the pointwise part; residual."""

    def __init__(self, dim: int, kernel: int, *, bn_hs: bool) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), LAYER_SCALE))
        self.dwconv = nn.Conv2d(dim, dim, kernel, padding=kernel // 2, groups=dim, bias=not bn_hs)
        self.add_pointwise(dim, bn_hs=bn_hs)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pointwise(self.dwconv(x))


def position_encoding(h: int, w: int, like: Tensor) -> Tensor:
    """Fourier encoding of rows and columns, (1, 64, H, W): a constant for a fixed input size.

    Row r counts 1..H and stands for the angle 2 pi r / (H + 1e-6); sin and cos of it at 16 frequencies, interleaved.
    `like` gives dtype and device.
    """
    # a sin and a cos of each of 16 wavelengths
    wavelength = 10000.0 ** (torch.arange(0, FREQUENCIES, 2, dtype=like.dtype, device=like.device) / FREQUENCIES)

    def encode(length: int) -> Tensor:
        counted = torch.arange(1, length + 1, dtype=like.dtype, device=like.device)
        angle = (counted / (length + 1e-6) * (2 * math.pi)) / wavelength[:, None]  # (16, length)
        return torch.stack((angle.sin(), angle.cos()), dim=1).flatten(0, 1)  # (32, length), interleaved

    rows = encode(h)[:, :, None].expand(-1, -1, w)  # (32, H, W)
    columns = encode(w)[:, None, :].expand(-1, h, -1)
    return torch.cat((rows, columns))[None]


class PositionEncoding(nn.Module):
    """The encoding, projected to C channels: (1, C, H, W)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.token_projection = nn.Conv2d(2 * FREQUENCIES, dim, 1)

    def forward(self, h: int, w: int) -> Tensor:
        return self.token_projection(position_encoding(h, w, like=self.token_projection.weight))


class CrossCovarianceAttention(nn.Module):
    """Attention over channels: its map is d x d per head, so the cost is linear in N. (B, N, C) -> (B, N, C).

    After El-Nouby et al., "XCiT", https://arxiv.org/abs/2106.09681. The learned temperature is the only scale.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        # (B, N, 3C) -> (B, N, 3, h, d) -> (3, B, h, d, N)
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 4, 1)
        q, k, v = qkv.unbind(0)
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)  # L2 along N
        weights = (q @ k.transpose(-2, -1) * self.temperature).softmax(dim=-1)  # (B, h, d, d)
        y = (weights @ v).permute(0, 3, 1, 2).reshape(batch, tokens, dim)  # (B, h, d, N) -> (B, N, h*d)
        return self.proj(y)


class SdtaEncoder(Block):
    """Split depthwise transposed attention: a cascade of convolutions on channel chunks, XCA, the pointwise part."""

    def __init__(self, dim: int, heads: int, scales: int, *, positions: bool, bn_hs: bool) -> None:
        super().__init__()
        self.width = math.ceil(dim / scales)  # of a chunk; the last one takes what is left
        self.gamma_xca = nn.Parameter(torch.full((dim,), LAYER_SCALE))
        self.gamma = nn.Parameter(torch.full((dim,), LAYER_SCALE))
        self.convs = nn.ModuleList(
            nn.Conv2d(self.width, self.width, 3, padding=1, groups=self.width) for _ in range(scales - 1)
        )
        self.pos_embd = PositionEncoding(dim) if positions else None
        self.norm_xca = nn.BatchNorm2d(dim) if bn_hs else nn.LayerNorm(dim, eps=1e-6)
        self.xca = CrossCovarianceAttention(dim, heads)
        self.add_pointwise(dim, bn_hs=bn_hs)

    def cascade(self, x: Tensor) -> Tensor:
        """Each chunk but the last is convolved together with the result of the one before it."""
        *chunks, last = x.split(self.width, dim=1)
        done: list[Tensor] = []
        for conv, chunk in zip(self.convs, chunks, strict=True):
            done.append(conv(done[-1] + chunk if done else chunk))
        return torch.cat((*done, last), dim=1)

    def forward(self, x: Tensor) -> Tensor:
        batch, dim, h, w = x.shape
        t = self.cascade(x)
        if isinstance(self.norm_xca, nn.BatchNorm2d):
            t = self.norm_xca(t)  # replaces the trunk, and comes before the position encoding
        if self.pos_embd is not None:
            t = t + self.pos_embd(h, w)
        t = t.flatten(2).transpose(1, 2)  # (B, N, C)
        normed = t if isinstance(self.norm_xca, nn.BatchNorm2d) else self.norm_xca(t)
        t = t + self.gamma_xca * self.xca(normed)
        t = t.transpose(1, 2).reshape(batch, dim, h, w)
        return x + self.pointwise(t)


def _downsample(inp: int, out: int, *, first: bool, bn_hs: bool) -> nn.Sequential:
    """The stem (4x4, stride 4, then norm), or a step between stages (norm, then 2x2, stride 2)."""
    size = 4 if first else 2
    conv = nn.Conv2d(inp, out, size, size, bias=not bn_hs)
    normed = out if first else inp
    norm = nn.BatchNorm2d(normed) if bn_hs else ChannelLayerNorm(normed)
    return nn.Sequential(conv, norm) if first else nn.Sequential(norm, conv)


def _stage(config: Config, stage: int) -> nn.Sequential:
    dim, bn_hs = config.dims[stage], config.bn_hs
    attention = stage > 0
    blocks: list[nn.Module] = [
        ConvEncoder(dim, KERNELS[stage], bn_hs=bn_hs) for _ in range(config.depths[stage] - attention)
    ]
    if attention:
        blocks.append(SdtaEncoder(dim, config.heads, SCALES[stage], positions=stage == POSITION_STAGE, bn_hs=bn_hs))
    return nn.Sequential(*blocks)


class EdgeNeXt(DownsampledStages):
    """(B, 3, H, W) -> class logits (B, classes). Sides are multiples of 32."""

    def __init__(self, config: Config, num_classes: int = 1000) -> None:
        super().__init__()
        widths = (3, *config.dims)
        self.downsample_layers = nn.ModuleList(
            _downsample(widths[i], widths[i + 1], first=i == 0, bn_hs=config.bn_hs) for i in range(4)
        )
        self.stages = nn.ModuleList(_stage(config, i) for i in range(4))
        self.norm = nn.BatchNorm2d(config.dims[-1]) if config.bn_hs else nn.LayerNorm(config.dims[-1], eps=1e-6)
        self.head = nn.Linear(config.dims[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.forward_features(x)[-1]
        if isinstance(self.norm, nn.BatchNorm2d):
            return self.head(self.norm(x).mean(dim=(2, 3)))
        return self.head(self.norm(x.mean(dim=(2, 3))))


# timm's names on the left, the authors' on the right; shapes are equal
_TIMM_NAMES = (
    (re.compile(r"^stem\."), "downsample_layers.0."),
    (re.compile(r"^stages\.(\d+)\.downsample\."), r"downsample_layers.\1."),
    (re.compile(r"^stages\.(\d+)\.blocks\."), r"stages.\1."),
    (re.compile(r"\.conv_dw\."), ".dwconv."),
    (re.compile(r"\.mlp\.fc([12])\."), r".pwconv\1."),
    (re.compile(r"^head\.norm\."), "norm."),
    (re.compile(r"^head\.fc\."), "head."),
)


def from_timm(state_dict: dict[str, Any], module: nn.Module | None = None) -> dict[str, Any]:
    """timm's EdgeNeXt entries under the authors' names; a state_dict of the authors' comes back as it was."""
    if "stem.0.weight" not in state_dict:
        return dict(state_dict)

    def rename(key: str) -> str:
        for pattern, replacement in _TIMM_NAMES:
            key = pattern.sub(replacement, key)
        return key

    return {rename(key): value for key, value in state_dict.items()}


_XX_SMALL = Config((2, 2, 6, 2), (24, 48, 88, 168), heads=4)
_X_SMALL = Config((3, 3, 9, 3), (32, 64, 100, 192), heads=4)
_SMALL = Config((3, 3, 9, 3), (48, 96, 160, 304), heads=8)
_BASE = Config((3, 3, 9, 3), (80, 160, 288, 584), heads=8)

VARIANTS: dict[str, Config] = {
    "xx-small": _XX_SMALL,
    "x-small": _X_SMALL,
    "small": _SMALL,
    "base": _BASE,
    "xx-small-bn-hs": replace(_XX_SMALL, bn_hs=True),
    "x-small-bn-hs": replace(_X_SMALL, bn_hs=True),
    "small-bn-hs": replace(_SMALL, bn_hs=True),
}


def edgenext(variant: str, num_classes: int | None = None) -> EdgeNeXt:
    """Builds a variant in eval mode."""
    return EdgeNeXt(VARIANTS[variant], num_classes or 1000).eval()


SOURCE = Source(
    title="EdgeNeXt: Efficiently Amalgamated CNN-Transformer Architecture for Mobile Vision Applications (CADL 2022)",
    paper="https://arxiv.org/abs/2206.10589",
    repository="https://github.com/mmaaz60/EdgeNeXt",
    commit="388450404fdd6d6e097f1cf94f5afcbbdc352f08",
    licence_code="MIT",
    licence_weights="MIT (release assets of the MIT repository)",
)
_RELEASES = "https://github.com/mmaaz60/EdgeNeXt/releases/download"

# parameters, multiply-accumulates at 256x256, the authors' checkpoint
_FACTS: dict[str, tuple[int, int, str]] = {
    "xx-small": (1_327_216, 257_905_088, "v1.0/edgenext_xx_small.pth"),
    "x-small": (2_336_804, 533_192_192, "v1.0/edgenext_x_small.pth"),
    "small": (5_586_832, 1_253_234_816, "v1.0/edgenext_small.pth"),
    "base": (18_511_292, 3_828_296_384, "v1.2/edgenext_base.pth"),
    "xx-small-bn-hs": (1_326_184, 257_905_088, "v1.0/edgenext_xx_small_bn_hs.pth"),
    "x-small-bn-hs": (2_335_008, 533_192_192, "v1.0/edgenext_x_small_bn_hs.pth"),
    "small-bn-hs": (5_584_000, 1_253_234_816, "v1.0/edgenext_small_bn_hs.pth"),
}


def _spec(variant: str) -> ModelSpec:
    parameters, macs, checkpoint = _FACTS[variant]
    return ModelSpec(
        name=f"edgenext-{variant}",
        family="edgenext",
        task="classification",
        build=partial(edgenext, variant),
        num_classes=1000,
        input_size=(256, 256),
        parameters=parameters,
        source=replace(SOURCE, weights_url=f"{_RELEASES}/{checkpoint}"),
        classifier="head",
        macs=macs,
        preprocessing=Preprocessing(crop_pct=0.875, interpolation="bicubic"),
        adapt_state_dict=from_timm,
    )


SPECS: tuple[ModelSpec, ...] = tuple(_spec(variant) for variant in VARIANTS)
