"""TopFormer: a pyramid of convolution maps, one small transformer over their pooled tokens, and injection back.

Zhang et al., "TopFormer: Token Pyramid Transformer for Mobile Semantic Segmentation", CVPR 2022,
https://arxiv.org/abs/2204.05525. Written anew from the description of the network that the checkpoints of
https://github.com/hustvl/TopFormer (commit cc0f436) expect; state_dict keys and shapes are theirs.

Where the paper and the released code differ, this follows the code, since the weights do:

- attention logits are not scaled by 1/sqrt(d);
- the gate of the injection is a hard sigmoid, taken at the pooled resolution and then resized;
- the decode head ends in ReLU, not ReLU6.

Letters in shape comments: B batch, D channels of all pyramid levels together, P pooled positions, H heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.core.spec import ModelSpec, Preprocessing, Source

KEY_DIM = 16  # channels of a query or key, per head
VALUE_DIM = 32  # channels of a value, per head
FFN_RATIO = 2


@dataclass(frozen=True)
class Row:
    """One inverted-residual block of the pyramid."""

    kernel: int
    expand: int
    out: int
    stride: int


@dataclass(frozen=True)
class Config:
    """What makes a variant different.

    Attributes:
        rows: the token pyramid after the stem.
        kept: zero-based rows whose outputs are the pyramid levels, finest first (strides 4, 8, 16, 32).
        heads: attention heads.
        width: channels after injection, in the decode head too; None for classification.
        depthwise_fuse: the decode head's 1x1 convolution is depthwise.
    """

    rows: tuple[Row, ...]
    kept: tuple[int, int, int, int]
    heads: int
    width: int | None
    depthwise_fuse: bool = False

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the four levels, finest first."""
        return tuple(self.rows[index].out for index in self.kept)


class ConvBN(nn.Module):
    """Convolution without bias, then BatchNorm; the official names are `c` and `bn`."""

    def __init__(self, inp: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.c = nn.Conv2d(inp, out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.c(x))


class InvertedResidual(nn.Module):
    """Expand, depthwise, project; no activation at the end (MobileNetV2)."""

    def __init__(self, inp: int, row: Row) -> None:
        super().__init__()
        hidden = round(inp * row.expand)
        layers: list[nn.Module] = [] if row.expand == 1 else [ConvBN(inp, hidden), nn.ReLU()]
        layers += [ConvBN(hidden, hidden, row.kernel, row.stride, groups=hidden), nn.ReLU(), ConvBN(hidden, row.out)]
        self.conv = nn.Sequential(*layers)
        self.residual = row.stride == 1 and inp == row.out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class TokenPyramid(nn.Module):
    """The convolution part. Input (B, 3, h, w), output four maps at strides 4, 8, 16, 32."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBN(3, 16, 3, 2), nn.ReLU())
        self.kept = config.kept
        self.count = len(config.rows)
        inp = 16
        for number, row in enumerate(config.rows, start=1):
            self.add_module(f"layer{number}", InvertedResidual(inp, row))
            inp = row.out

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        levels = []
        for index in range(self.count):
            x = self.get_submodule(f"layer{index + 1}")(x)
            if index in self.kept:
                levels.append(x)
        return levels


class Attention(nn.Module):
    """Multi-head attention over P = h*w positions, kept channel-first."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = ConvBN(dim, KEY_DIM * heads)
        self.to_k = ConvBN(dim, KEY_DIM * heads)
        self.to_v = ConvBN(dim, VALUE_DIM * heads)
        self.proj = nn.Sequential(nn.ReLU6(), ConvBN(VALUE_DIM * heads, dim))

    def forward(self, x: Tensor) -> Tensor:
        batch, _, h, w = x.shape
        q = self.to_q(x).reshape(batch, self.heads, KEY_DIM, h * w)  # (B, H, 16, P)
        k = self.to_k(x).reshape(batch, self.heads, KEY_DIM, h * w)
        v = self.to_v(x).reshape(batch, self.heads, VALUE_DIM, h * w)  # (B, H, 32, P)
        weights = (q.transpose(2, 3) @ k).softmax(dim=-1)  # (B, H, P, P), not scaled: see the module's docstring
        y = (weights @ v.transpose(2, 3)).transpose(2, 3)  # (B, H, 32, P)
        return self.proj(y.reshape(batch, self.heads * VALUE_DIM, h, w))


class FeedForward(nn.Module):
    """1x1, depthwise 3x3 with bias and without norm, ReLU6, 1x1."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = FFN_RATIO * dim
        self.fc1 = ConvBN(dim, hidden)
        self.dwconv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.act = nn.ReLU6()
        self.fc2 = ConvBN(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.dwconv(self.fc1(x))))


class Block(nn.Module):
    """Attention and feed-forward, both residual, without pre-norm."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attn = Attention(dim, heads)
        self.mlp = FeedForward(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(x)
        return x + self.mlp(x)


class Transformer(nn.Module):
    """Four blocks on the (B, D, h, w) map of pooled tokens."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.transformer_blocks = nn.ModuleList(Block(dim, heads) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.transformer_blocks:
            x = block(x)
        return x


def pool_and_concatenate(levels: list[Tensor], stride: int) -> Tensor:
    """Brings all levels to the coarsest one's size over `stride`, by averaging; (B, D, h', w')."""
    h, w = levels[-1].shape[-2:]
    size = ((h - 1) // stride + 1, (w - 1) // stride + 1)
    return torch.cat([F.adaptive_avg_pool2d(level, size) for level in levels], dim=1)


class ConvNorm(nn.Module):
    """Convolution without bias, BatchNorm, perhaps ReLU; the official names here are `conv` and `bn` (mmcv's)."""

    def __init__(self, inp: int, out: int, groups: int = 1, relu: bool = False) -> None:
        super().__init__()
        self.relu = relu
        self.conv = nn.Conv2d(inp, out, 1, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return F.relu(x) if self.relu else x


class Injection(nn.Module):
    """Gates a pyramid level with its share of the tokens, and adds them: local * gate + value."""

    def __init__(self, inp: int, width: int) -> None:
        super().__init__()
        self.local_embedding = ConvNorm(inp, width)
        self.global_embedding = ConvNorm(inp, width)
        self.global_act = ConvNorm(inp, width)

    def forward(self, local: Tensor, tokens: Tensor) -> Tensor:
        size = local.shape[-2:]
        gate = _resize(F.hardsigmoid(self.global_act(tokens)), size)
        value = _resize(self.global_embedding(tokens), size)
        return self.local_embedding(local) * gate + value


class Backbone(nn.Module):
    """Pyramid, tokens, injection. Output: three maps of `width` channels at strides 8, 16, 32."""

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.channels = config.channels
        self.tpm = TokenPyramid(config)
        self.trans = Transformer(sum(config.channels), config.heads)
        # Level 0 takes part in the transformer and is not injected; its slot keeps the official key numbers.
        self.SIM = nn.ModuleList([nn.Identity(), *(Injection(c, width) for c in config.channels[1:])])

    def forward(self, x: Tensor) -> list[Tensor]:
        levels = self.tpm(x)
        tokens = self.trans(pool_and_concatenate(levels, stride=2)).split(self.channels, dim=1)
        return [self.SIM[i](levels[i], tokens[i]) for i in (1, 2, 3)]


class DecodeHead(nn.Module):
    """Sums the maps at the finest one's size and classifies each position; (B, classes, h/8, w/8)."""

    def __init__(self, width: int, num_classes: int, depthwise: bool) -> None:
        super().__init__()
        self.conv_seg = nn.Conv2d(width, num_classes, 1)
        self.linear_fuse = ConvNorm(width, width, groups=width if depthwise else 1, relu=True)

    def forward(self, maps: list[Tensor]) -> Tensor:
        x, *coarser = maps
        for other in coarser:
            x = x + _resize(other, x.shape[-2:])
        return self.conv_seg(self.linear_fuse(x))


class TopFormer(nn.Module):
    """Segmentation: (B, 3, h, w) -> class logits (B, classes, h/8, w/8). Sides must be multiples of 32."""

    def __init__(self, config: Config, num_classes: int = 150) -> None:
        super().__init__()
        assert config.width is not None, "a segmentation variant has an injection width"
        self.backbone = Backbone(config, config.width)
        self.decode_head = DecodeHead(config.width, num_classes, config.depthwise_fuse)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode_head(self.backbone(x))


class LinearBNHead(nn.Module):
    """BatchNorm over the pooled vector, then a linear layer."""

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(dim)
        self.l = nn.Linear(dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.l(self.bn(x))


class TopFormerClassifier(nn.Module):
    """Classification: (B, 3, h, w) -> (B, classes). Tokens stay at stride 32; nothing is injected."""

    def __init__(self, config: Config, num_classes: int = 1000) -> None:
        super().__init__()
        dim = sum(config.channels)
        self.tpm = TokenPyramid(config)
        self.trans = Transformer(dim, config.heads)
        self.head = LinearBNHead(dim, num_classes)

    def forward_features(self, x: Tensor) -> tuple[Tensor, ...]:
        """The four pyramid levels, at strides 4, 8, 16, 32."""
        return tuple(self.tpm(x))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.trans(pool_and_concatenate(self.tpm(x), stride=1))
        return self.head(tokens.mean(dim=(2, 3)))


def _resize(x: Tensor, size: Any) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def _rows(*table: tuple[int, int, int, int]) -> tuple[Row, ...]:
    return tuple(Row(*line) for line in table)


# (kernel, expand, out, stride) for each row of the pyramid
TINY = _rows(
    (3, 1, 16, 1), (3, 4, 16, 2), (3, 3, 16, 1), (5, 3, 32, 2), (5, 3, 32, 1),
    (3, 3, 64, 2), (3, 3, 64, 1), (5, 6, 96, 2), (5, 6, 96, 1),
)  # fmt: skip
SMALL = _rows(
    (3, 1, 16, 1), (3, 4, 24, 2), (3, 3, 24, 1), (5, 3, 48, 2), (5, 3, 48, 1),
    (3, 3, 96, 2), (3, 3, 96, 1), (5, 6, 128, 2), (5, 6, 128, 1), (3, 6, 128, 1),
)  # fmt: skip
BASE = _rows(
    (3, 1, 16, 1), (3, 4, 32, 2), (3, 3, 32, 1), (5, 3, 64, 2), (5, 3, 64, 1),
    (3, 3, 128, 2), (3, 3, 128, 1), (5, 6, 160, 2), (5, 6, 160, 1), (3, 6, 160, 1),
)  # fmt: skip

VARIANTS: dict[str, Config] = {
    "tiny": Config(TINY, (2, 4, 6, 8), heads=4, width=128, depthwise_fuse=True),
    "small": Config(SMALL, (2, 4, 6, 9), heads=6, width=192),
    "base": Config(BASE, (2, 4, 6, 9), heads=8, width=256),
    "tiny-cls": Config(TINY, (2, 4, 6, 8), heads=4, width=None),
    "small-cls": Config(SMALL, (2, 4, 6, 9), heads=6, width=None),
    "base-cls": Config(BASE, (2, 4, 6, 9), heads=8, width=None),
}


def topformer(variant: str, num_classes: int | None = None) -> nn.Module:
    """Builds a variant in eval mode."""
    return _build(VARIANTS[variant], num_classes)


def topformer_from_checkpoint(
    variant: str, state_dict: Mapping[str, Tensor], num_classes: int | None = None
) -> nn.Module:
    """Builds a variant for a checkpoint, whose shapes decide what the authors keep in configuration files: whether the
    fuse convolution is depthwise or dense, and the width of the injection (Cityscapes and ADE20K differ).
    """
    config = VARIANTS[variant]
    fuse = state_dict.get("decode_head.linear_fuse.conv.weight")
    if config.width is not None and fuse is not None and fuse.ndim == 4:
        config = replace(config, width=fuse.shape[0], depthwise_fuse=fuse.shape[1] == 1)
    return _build(config, num_classes)


def _build(config: Config, num_classes: int | None) -> nn.Module:
    if config.width is None:
        return TopFormerClassifier(config, num_classes or 1000).eval()
    return TopFormer(config, num_classes or 150).eval()


SOURCE = Source(
    title="TopFormer: Token Pyramid Transformer for Mobile Semantic Segmentation (CVPR 2022)",
    paper="https://arxiv.org/abs/2204.05525",
    repository="https://github.com/hustvl/TopFormer",
    commit="cc0f4369698bd813a0d8eefcdcf2d28d91080e21",
    licence_code="Apache-2.0 and MIT texts in one file; the decode head names NVIDIA's (none of it is used here)",
    licence_weights="not stated",
)

# parameters and multiply-accumulates at the default input, as counted on the official code
_COUNTS: dict[str, tuple[int, int]] = {
    "tiny": (1_389_654, 534_110_208),
    "small": (3_034_662, 1_112_297_472),
    "base": (5_062_646, 1_752_203_264),
    "tiny-cls": (1_503_304, 120_238_400),
    "small-cls": (3_105_928, 227_621_504),
    "base-cls": (5_068_872, 364_354_432),
}


# the authors' best checkpoint of each variant (pages of Google Drive, for a browser); the classifiers share a folder
_DRIVE = "https://drive.google.com"
_CLASSIFIERS = f"{_DRIVE}/drive/folders/1NLz3QCDbaXJ2DeGxLPUfupZZbojceDJM"
_WEIGHTS: dict[str, str] = {
    "tiny": f"{_DRIVE}/file/d/1OnS3_PwjJuNMWCKisreNxw_Lma8uR8bV/view",
    "small": f"{_DRIVE}/file/d/19041fMb4HuDyNhIYdW1r5612FyzpexP0/view",
    "base": f"{_DRIVE}/file/d/1m7CxYKWAyJzl5W3cj1vwsW4DfqAb_rqz/view",
}


def _spec(variant: str) -> ModelSpec:
    segmentation = VARIANTS[variant].width is not None
    parameters, macs = _COUNTS[variant]
    return ModelSpec(
        name=f"topformer-{variant}",
        family="topformer",
        task="segmentation" if segmentation else "classification",
        build=partial(topformer, variant),
        build_from_checkpoint=partial(topformer_from_checkpoint, variant),
        num_classes=150 if segmentation else 1000,
        input_size=(512, 512) if segmentation else (224, 224),
        parameters=parameters,
        macs=macs,
        source=replace(SOURCE, weights_url=_WEIGHTS.get(variant, _CLASSIFIERS)),
        classifier="decode_head.conv_seg" if segmentation else "head.l",
        preprocessing=Preprocessing() if segmentation else Preprocessing(crop_pct=0.875, interpolation="bicubic"),
    )


SPECS: tuple[ModelSpec, ...] = tuple(_spec(variant) for variant in VARIANTS)
