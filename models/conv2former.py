"""Conv2Former: attention replaced by a product of a large depthwise convolution and a value. Fully convolutional.

Hou et al., "Conv2Former: A Simple Transformer-Style ConvNet for Visual Recognition", IEEE TPAMI 2024,
https://arxiv.org/abs/2211.11943. Written anew from the description of the final PyTorch code of
https://github.com/HVision-NKU/Conv2Former (commit 94fd1c4, Apache-2.0); state_dict keys and shapes are theirs.

Where the paper and the released code differ, this follows the code, since the weights do:

- the paper has 11x11 kernels everywhere; n and the base model trained on ImageNet-22k (b-22k) have 7x7 ones. A
  checkpoint's own kernel decides, where one is given;
- the stem activates before it normalises, and its convolutions have no bias;
- the head normalises at every position and takes the mean after it.

The Jittor port of the same authors is another network (no 1280-wide head) and is not followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.core.spec import ModelSpec, Preprocessing, Source

from .layers import ChannelLayerNorm, DownsampledStages

MLP_RATIO = 4
HEAD_WIDTH = 1280
LAYER_SCALE = 1e-6  # initial value


@dataclass(frozen=True)
class Config:
    """What makes a variant different: channels and blocks of each stage, and the modulation's kernel size."""

    dims: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    kernel: int


class ConvModulation(nn.Module):
    """norm, then proj(a * v) with a a large depthwise convolution and v a 1x1 one; no activation follows the product."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.norm = ChannelLayerNorm(dim)
        self.att = nn.Sequential(
            nn.Conv2d(dim, dim, 1), nn.GELU(), nn.Conv2d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        )
        self.v = nn.Conv2d(dim, dim, 1)
        self.proj = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return self.proj(self.att(x) * self.v(x))


class Mlp(nn.Module):
    """norm, 1x1 to four times the width, GELU; the depthwise 3x3 is residual around the activated map; 1x1 back."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = MLP_RATIO * dim
        self.norm = ChannelLayerNorm(dim)
        self.fc1 = nn.Conv2d(dim, hidden, 1)
        self.pos = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.fc2 = nn.Conv2d(hidden, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.fc1(self.norm(x)))
        x = x + F.gelu(self.pos(x))
        return self.fc2(x)


class Block(nn.Module):
    """Modulation and MLP, both residual and scaled per channel."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.attn = ConvModulation(dim, kernel)
        self.mlp = Mlp(dim)
        self.layer_scale_1 = nn.Parameter(torch.full((dim,), LAYER_SCALE))
        self.layer_scale_2 = nn.Parameter(torch.full((dim,), LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.layer_scale_1[:, None, None] * self.attn(x)  # (C, 1, 1) over (B, C, H, W)
        return x + self.layer_scale_2[:, None, None] * self.mlp(x)


def _stem(dim: int) -> nn.Sequential:
    """(B, 3, H, W) -> (B, C1, H/4, W/4)."""
    half = dim // 2
    return nn.Sequential(
        nn.Conv2d(3, half, 3, 2, 1, bias=False),
        nn.GELU(),
        nn.BatchNorm2d(half),
        nn.Conv2d(half, half, 3, 1, 1, bias=False),
        nn.GELU(),
        nn.BatchNorm2d(half),
        nn.Conv2d(half, dim, 2, 2, bias=False),
    )


class Conv2Former(DownsampledStages):
    """(B, 3, H, W) -> class logits (B, classes). Sides are multiples of 32."""

    def __init__(self, config: Config, num_classes: int = 1000) -> None:
        super().__init__()
        dims = config.dims
        self.downsample_layers = nn.ModuleList([_stem(dims[0])])
        for inp, out in pairwise(dims):
            self.downsample_layers.append(nn.Sequential(ChannelLayerNorm(inp), nn.Conv2d(inp, out, 2, 2)))
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(dim, config.kernel) for _ in range(depth)))
            for dim, depth in zip(dims, config.depths, strict=True)
        )
        self.head = nn.Sequential(nn.Conv2d(dims[-1], HEAD_WIDTH, 1), nn.GELU(), ChannelLayerNorm(HEAD_WIDTH))
        self.pred = nn.Linear(HEAD_WIDTH, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.pred(self.head(self.forward_features(x)[-1]).mean(dim=(2, 3)))


VARIANTS: dict[str, Config] = {
    "n": Config((64, 128, 256, 512), (2, 2, 8, 2), kernel=7),
    "t": Config((72, 144, 288, 576), (3, 3, 12, 3), kernel=11),
    "s": Config((72, 144, 288, 576), (4, 4, 32, 4), kernel=11),
    "b": Config((96, 192, 384, 768), (4, 4, 34, 4), kernel=11),
    "b-22k": Config((96, 192, 384, 768), (4, 4, 34, 4), kernel=7),
    "l": Config((128, 256, 512, 1024), (4, 4, 48, 4), kernel=11),
}


def conv2former(variant: str, num_classes: int | None = None) -> Conv2Former:
    """Builds a variant in eval mode."""
    return Conv2Former(VARIANTS[variant], num_classes or 1000).eval()


def conv2former_from_checkpoint(
    variant: str, state_dict: Mapping[str, Tensor], num_classes: int | None = None
) -> Conv2Former:
    """Builds a variant for a checkpoint, which decides the kernel size."""
    config = VARIANTS[variant]
    kernel = state_dict.get("stages.0.0.attn.att.2.weight")
    if kernel is not None:
        config = replace(config, kernel=kernel.shape[-1])
    return Conv2Former(config, num_classes or 1000).eval()


SOURCE = Source(
    title="Conv2Former: A Simple Transformer-Style ConvNet for Visual Recognition (TPAMI 2024)",
    paper="https://arxiv.org/abs/2211.11943",
    repository="https://github.com/HVision-NKU/Conv2Former",
    commit="94fd1c4d0a8b022f6586f740f42fda7d4d74dec3",
    licence_code="Apache-2.0",
    licence_weights="not stated separately",
)

# parameters, multiply-accumulates at 224x224, the authors' checkpoint (a page of Baidu's drive, for a browser)
_FACTS: dict[str, tuple[int, int, str]] = {
    "n": (14_992_840, 2_330_299_392, "https://pan.baidu.com/s/1sgO-UhF27UQrGtfKJzck3A?pwd=6ku9"),
    "t": (26_697_204, 4_360_505_024, "https://pan.baidu.com/s/1Rfsi5p5usr3UE46jigtlcg?pwd=gwq4"),
    "s": (50_032_692, 8_708_384_000, "https://pan.baidu.com/s/16Lu1LcQkOoSQXnZVGxGPxg?pwd=6z6m"),
    "b": (90_029_112, 15_890_112_512, "https://pan.baidu.com/s/1q5V1J3jzAoKQis-hx6rTVg?pwd=bdgj"),
    "b-22k": (88_784_952, 15_564_972_032, "https://pan.baidu.com/s/1rkt3NhYQhPPOD5kj67uZCw?pwd=gbj9"),
    "l": (198_893_736, 36_037_482_496, "https://pan.baidu.com/s/1_YYQ_rY9QRkq-m2lv23GPg?pwd=44os"),
}


def _spec(variant: str) -> ModelSpec:
    parameters, macs, checkpoint = _FACTS[variant]
    return ModelSpec(
        name=f"conv2former-{variant}",
        family="conv2former",
        task="classification",
        build=partial(conv2former, variant),
        build_from_checkpoint=partial(conv2former_from_checkpoint, variant),
        num_classes=1000,
        input_size=(224, 224),
        parameters=parameters,
        source=replace(SOURCE, weights_url=checkpoint),
        classifier="pred",
        macs=macs,
        preprocessing=Preprocessing(crop_pct=0.9, interpolation="bicubic"),
    )


SPECS: tuple[ModelSpec, ...] = tuple(_spec(variant) for variant in VARIANTS)
