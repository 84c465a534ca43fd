"""MobileViT, a baseline: MobileNetV2 blocks, and transformers among pixels at the same position of 2x2 patches.

Mehta and Rastegari, "MobileViT: Light-weight, General-purpose, and Mobile-friendly Vision Transformer", ICLR 2022,
https://arxiv.org/abs/2110.02178. Keys and shapes are those of timm's `mobilevit_s` (checkpoint
`mobilevit_s.cvnets_in1k`, Apple's weights under timm's names).

The patches need even maps at stride 32, so sides are multiples of 64. timm and the authors resize odd maps instead, which
is another network for the same weights and is not followed.

Letters in shape comments: B batch, C channels, H W map, d embedding width, N tokens of one sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from edgedeploy.core.spec import ModelSpec, Preprocessing, Source

from .layers import ConvNormAct, Mlp, MultiHeadAttention, on_patches, outputs_of

PATCH = 2
HEADS = 4
EXPANSION = 4  # of the inverted residuals
MLP_RATIO = 2


@dataclass(frozen=True)
class Stage:
    """Inverted residuals, the first with `stride`; then a MobileViT block of `layers` transformer layers, if any."""

    out: int
    stride: int
    blocks: int = 1
    embedding: int = 0
    layers: int = 0


@dataclass(frozen=True)
class Config:
    """What makes a variant different."""

    stem: int
    stages: tuple[Stage, ...]
    head: int


class InvertedResidual(nn.Module):
    """1x1 to four times the width, depthwise 3x3, 1x1 without activation; residual where shapes allow."""

    def __init__(self, inp: int, out: int, stride: int) -> None:
        super().__init__()
        hidden = EXPANSION * inp
        self.conv1_1x1 = ConvNormAct(inp, hidden)
        self.conv2_kxk = ConvNormAct(hidden, hidden, 3, stride, groups=hidden)
        self.conv3_1x1 = ConvNormAct(hidden, out, act=False)
        self.residual = stride == 1 and inp == out

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv3_1x1(self.conv2_kxk(self.conv1_1x1(x)))
        return x + y if self.residual else y


class TransformerLayer(nn.Module):
    """Pre-norm attention and MLP, both residual. (B*4, N, d) -> (B*4, N, d)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = MultiHeadAttention(dim, HEADS)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, MLP_RATIO * dim, nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class MobileViTBlock(nn.Module):
    """Convolutions into the embedding, transformer layers, convolutions back, fused with the block's input."""

    def __init__(self, dim: int, embedding: int, layers: int) -> None:
        super().__init__()
        self.conv_kxk = ConvNormAct(dim, dim, 3)
        self.conv_1x1 = nn.Conv2d(dim, embedding, 1, bias=False)
        self.transformer = nn.Sequential(*(TransformerLayer(embedding) for _ in range(layers)))
        self.norm = nn.LayerNorm(embedding)
        self.conv_proj = ConvNormAct(embedding, dim)
        self.conv_fusion = ConvNormAct(2 * dim, dim, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_1x1(self.conv_kxk(x))  # (B, d, H, W)
        y = on_patches(y, PATCH, lambda tokens: self.norm(self.transformer(tokens)))
        return self.conv_fusion(torch.cat((x, self.conv_proj(y)), dim=1))


class Classifier(nn.Module):
    """Mean over positions, then `fc`."""

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.mean(dim=(2, 3)))


class MobileViT(nn.Module):
    """(B, 3, H, W) -> class logits (B, classes). Sides are multiples of 64."""

    def __init__(self, config: Config, num_classes: int = 1000) -> None:
        super().__init__()
        self.stem = ConvNormAct(3, config.stem, 3, 2)
        inp = config.stem
        stages = []
        for stage in config.stages:
            blocks: list[nn.Module] = []
            for i in range(stage.blocks):
                blocks.append(InvertedResidual(inp, stage.out, stage.stride if i == 0 else 1))
                inp = stage.out
            if stage.layers:
                blocks.append(MobileViTBlock(stage.out, stage.embedding, stage.layers))
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.final_conv = ConvNormAct(inp, config.head)
        self.head = Classifier(config.head, num_classes)

    def forward_features(self, x: Tensor) -> tuple[Tensor, ...]:
        """The outputs of stages 2 to 5, at strides 4, 8, 16, 32 (stage 1 stays at stride 2)."""
        return outputs_of(self.stages, self.stem(x))[1:]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.final_conv(self.forward_features(x)[-1]))


VARIANTS: dict[str, Config] = {
    "s": Config(
        stem=16,
        stages=(
            Stage(32, stride=1),
            Stage(64, stride=2, blocks=3),
            Stage(96, stride=2, embedding=144, layers=2),
            Stage(128, stride=2, embedding=192, layers=4),
            Stage(160, stride=2, embedding=240, layers=3),
        ),
        head=640,
    ),
}


def mobilevit(variant: str, num_classes: int | None = None) -> MobileViT:
    """Builds a variant in eval mode."""
    return MobileViT(VARIANTS[variant], num_classes or 1000).eval()


SOURCE = Source(
    title="MobileViT: Light-weight, General-purpose, and Mobile-friendly Vision Transformer (ICLR 2022)",
    paper="https://arxiv.org/abs/2110.02178",
    repository="https://github.com/huggingface/pytorch-image-models",
    commit="v1.0.31",
    licence_code="Apache-2.0 (timm); the authors' own code is under Apple's sample code licence",
    licence_weights="Apple's ml-cvnets licence",
    weights_url="https://huggingface.co/timm/mobilevit_s.cvnets_in1k/resolve/main/model.safetensors",
)

SPECS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="mobilevit-s",
        family="mobilevit",
        task="classification",
        build=partial(mobilevit, "s"),
        num_classes=1000,
        input_size=(256, 256),
        parameters=5_578_632,
        source=SOURCE,
        classifier="head.fc",
        size_multiple=64,
        macs=2_000_831_488,
        # these weights were trained on plain 0..1 values
        preprocessing=Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), crop_pct=0.9, interpolation="bicubic"),
    ),
)
