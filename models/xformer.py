"""XFormer: MobileNetV3 blocks, and cross feature attention whose cost is linear in the number of tokens.

Zhao et al., "Lightweight Vision Transformer with Cross Feature Attention", https://arxiv.org/abs/2207.07268. There is no
public code and there are no weights, so state_dict keys are this project's own and nothing here can be checked against
the authors' network.

The paper's, as far as it could be read:

- a stem, five stages, a convolution, global pooling, a linear layer; stages 1 and 2 hold MobileNetV3 blocks only, stages
  3, 4, 5 one MobileNetV3 block and then XF blocks;
- MobileNetV3 block: 1x1 expansion by 4, depthwise convolution, squeeze-excitation, 1x1 projection; SiLU;
- XF block: x + XFA(LN(x)), then x + MLP(LN(x)); GELU in the MLP; patches of 2x2; MLP ratios 2, 2, 3, embedding widths
  144, 192, 240, width of Q, K, V 96;
- XFA: Q and K L2-normalised along the features; two small convolutions turn K into a context score along the tokens and
  a feature score along the features; the attention map lies along the features, is scaled by a learned temperature, and
  gets no softmax;
- 5.5 M parameters, 78.5 % ImageNet top-1; a segmentation variant with an all-MLP decoder.

This project's reading:

- widths, strides, block counts and the wrapper around the XF layers are MobileViT-S's (3x3 and 1x1 convolutions in, 1x1
  out, concatenation, 3x3 fusion), which gives 5,477,290 parameters, the only plain reading that rounds to 5.5 M; the
  input is 256x256;
- one head. The context score is a linear layer 96 -> 1 on each key; the feature score is a depthwise convolution of
  kernel 3 over the keys along the tokens, averaged over them. out = temperature * (V f)(c^T Q): an attention map
  f (c^T Q) of 96 x 96 and rank one, which is never formed;
- the temperature starts at 0.01 (the paper gives no value): started at 1, the first sum over 1024 tokens of the random
  network is 54 to 176 times as large as the stream that it is added to;
- squeeze-excitation narrows the expanded width to a quarter and gates with a sigmoid;
- the decoder is SegFormer's (Xie et al. 2021, https://arxiv.org/abs/2105.15203) on the maps at strides 4 to 32, 256 wide,
  with 19 classes as in Cityscapes.

Letters in shape comments: B batch (times four inside a unit), N tokens of one sequence, d embedding width, D = 96.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.core.spec import ModelSpec, Preprocessing, Source

from .layers import ConvNormAct, Mlp, on_patches, outputs_of

PATCH = 2
EXPANSION = 4
QKV_WIDTH = 96
INITIAL_TEMPERATURE = 0.01


@dataclass(frozen=True)
class Stage:
    """MobileNetV3 blocks, the first with `stride`; then a unit of `layers` XF layers, if any."""

    out: int
    stride: int
    blocks: int = 1
    embedding: int = 0
    layers: int = 0
    mlp_ratio: int = 0


@dataclass(frozen=True)
class Config:
    """What makes a variant different: `head` is the last convolution's width, `decoder` that of the all-MLP decoder."""

    stem: int
    stages: tuple[Stage, ...]
    head: int = 640
    decoder: int | None = None


class SqueezeExcitation(nn.Module):
    """Scales each channel by a sigmoid gate that two 1x1 convolutions make from the channel means."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(dim, dim // 4, 1)
        self.expand = nn.Conv2d(dim // 4, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = F.adaptive_avg_pool2d(x, 1)  # (B, C, 1, 1)
        return x * self.expand(F.silu(self.reduce(mean))).sigmoid()


class MV3Block(nn.Module):
    """1x1 to four times the width, depthwise 3x3, gate, 1x1 without activation; residual where shapes allow."""

    def __init__(self, inp: int, out: int, stride: int) -> None:
        super().__init__()
        hidden = EXPANSION * inp
        self.expand = ConvNormAct(inp, hidden)
        self.depthwise = ConvNormAct(hidden, hidden, 3, stride, groups=hidden)
        self.excite = SqueezeExcitation(hidden)
        self.project = ConvNormAct(hidden, out, act=False)
        self.residual = stride == 1 and inp == out

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.excite(self.depthwise(self.expand(x))))
        return x + y if self.residual else y


class CrossFeatureAttention(nn.Module):
    """XFA: (B, N, d) -> (B, N, d) in O(N D), without softmax and without any N x N or D x D matrix.

    c = context score of each key          (B, N, 1)
    f = feature score, mean over tokens    (B, D, 1)
    out = temperature * (V f)(c^T Q)       (B, N, 1)(B, 1, D)
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.full((1,), INITIAL_TEMPERATURE))
        self.qkv = nn.Linear(dim, 3 * QKV_WIDTH)
        self.context = nn.Linear(QKV_WIDTH, 1)
        self.feature = nn.Conv1d(QKV_WIDTH, QKV_WIDTH, 3, padding=1, groups=QKV_WIDTH)
        self.proj = nn.Linear(QKV_WIDTH, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).split(QKV_WIDTH, dim=-1)  # each (B, N, D)
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        context = self.context(k)  # (B, N, 1)
        feature = self.feature(k.transpose(1, 2)).mean(dim=-1, keepdim=True)  # (B, D, 1)
        y = self.temperature * (v @ feature) @ (context.transpose(1, 2) @ q)  # (B, N, D)
        return self.proj(y)


class XFLayer(nn.Module):
    """Pre-norm cross feature attention and MLP, both residual."""

    def __init__(self, dim: int, mlp_ratio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = CrossFeatureAttention(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, mlp_ratio * dim, nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class XFUnit(nn.Module):
    """Convolutions into the embedding, XF layers on the patches, convolutions back, fused with the unit's input."""

    def __init__(self, dim: int, stage: Stage) -> None:
        super().__init__()
        self.local = ConvNormAct(dim, dim, 3)
        self.embed = nn.Conv2d(dim, stage.embedding, 1, bias=False)
        self.layers = nn.Sequential(*(XFLayer(stage.embedding, stage.mlp_ratio) for _ in range(stage.layers)))
        self.norm = nn.LayerNorm(stage.embedding)
        self.project = ConvNormAct(stage.embedding, dim)
        self.fuse = ConvNormAct(2 * dim, dim, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.embed(self.local(x))  # (B, d, H, W)
        y = on_patches(y, PATCH, lambda tokens: self.norm(self.layers(tokens)))
        return self.fuse(torch.cat((x, self.project(y)), dim=1))


class Backbone(nn.Module):
    """(B, 3, H, W) -> four maps at strides 4, 8, 16, 32 (stages 2 to 5; stage 1 stays at stride 2)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.stem = ConvNormAct(3, config.stem, 3, 2)
        inp = config.stem
        stages = []
        for stage in config.stages:
            blocks: list[nn.Module] = []
            for i in range(stage.blocks):
                blocks.append(MV3Block(inp, stage.out, stage.stride if i == 0 else 1))
                inp = stage.out
            if stage.layers:
                blocks.append(XFUnit(stage.out, stage))
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return outputs_of(self.stages, self.stem(x))[1:]


class XFormer(nn.Module):
    """Classification: (B, 3, H, W) -> (B, classes). Sides are multiples of 64: the patches need even maps."""

    def __init__(self, config: Config, num_classes: int = 1000) -> None:
        super().__init__()
        self.backbone = Backbone(config)
        self.last_conv = ConvNormAct(config.stages[-1].out, config.head)
        self.head = nn.Linear(config.head, num_classes)

    def forward_features(self, x: Tensor) -> tuple[Tensor, ...]:
        """The four stage outputs, at strides 4, 8, 16, 32."""
        return self.backbone(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.last_conv(self.backbone(x)[-1]).mean(dim=(2, 3)))


class AllMlpDecoder(nn.Module):
    """Each map to one width, resized to the finest, concatenated, fused, classified: (B, classes, H/4, W/4).

    The linear layers of SegFormer's decoder are 1x1 convolutions here: the same function, without flattening.
    """

    def __init__(self, widths: tuple[int, ...], width: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.ModuleList(nn.Conv2d(inp, width, 1) for inp in widths)
        self.fuse = nn.Sequential(
            nn.Conv2d(len(widths) * width, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.classify = nn.Conv2d(width, num_classes, 1)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        size = maps[0].shape[-2:]
        levels = [linear(x) for linear, x in zip(self.linear, maps, strict=True)]
        resized = [levels[0]]
        resized += [F.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in levels[1:]]
        return self.classify(self.fuse(torch.cat(resized, dim=1)))


class XFormerSegmentation(nn.Module):
    """Segmentation: (B, 3, H, W) -> class logits (B, classes, H/4, W/4). Sides are multiples of 64."""

    def __init__(self, config: Config, num_classes: int = 19) -> None:
        super().__init__()
        assert config.decoder is not None, "a segmentation variant has a decoder"
        self.backbone = Backbone(config)
        self.decode_head = AllMlpDecoder(tuple(s.out for s in config.stages[1:]), config.decoder, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode_head(self.backbone(x))


_STAGES = (
    Stage(32, stride=1),
    Stage(64, stride=2, blocks=3),
    Stage(96, stride=2, embedding=144, layers=2, mlp_ratio=2),
    Stage(128, stride=2, embedding=192, layers=4, mlp_ratio=2),
    Stage(160, stride=2, embedding=240, layers=3, mlp_ratio=3),
)

VARIANTS: dict[str, Config] = {
    "xformer": Config(stem=16, stages=_STAGES),
    "xformer-seg": Config(stem=16, stages=_STAGES, decoder=256),
}


def xformer(num_classes: int | None = None) -> XFormer:
    """The classifier, in eval mode."""
    return XFormer(VARIANTS["xformer"], num_classes or 1000).eval()


def xformer_segmentation(num_classes: int | None = None) -> XFormerSegmentation:
    """The segmentation network, in eval mode."""
    return XFormerSegmentation(VARIANTS["xformer-seg"], num_classes or 19).eval()


SOURCE = Source(
    title="Lightweight Vision Transformer with Cross Feature Attention (2022)",
    paper="https://arxiv.org/abs/2207.07268",
    licence_weights="no official weights",
    reading="block counts, strides, stage widths, the convolution wrapper, the exact product of the scores, one head, "
    "the last convolution's width and the input size are this project's reading; no official code or weights exist",
)

SPECS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="xformer",
        family="xformer",
        task="classification",
        build=xformer,
        num_classes=1000,
        input_size=(256, 256),
        parameters=5_477_290,
        source=SOURCE,
        classifier="head",
        size_multiple=64,
        macs=1_689_158_656,
        preprocessing=Preprocessing(),
    ),
    ModelSpec(
        name="xformer-seg",
        family="xformer",
        task="segmentation",
        build=xformer_segmentation,
        num_classes=19,
        input_size=(512, 512),
        parameters=5_115_861,
        source=SOURCE,
        classifier="decode_head.classify",
        size_multiple=64,
        macs=11_514_718_208,
        preprocessing=Preprocessing(),
    ),
)
