"""MobileNetV2, a baseline: inverted residuals with linear bottlenecks.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, https://arxiv.org/abs/1801.04381.
Keys and shapes are those of torchvision's `mobilenet_v2` checkpoints (BSD-3-Clause), which load as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from edgedeploy.core.spec import ModelSpec, Preprocessing, Source

from .layers import MobileNet, conv_bn_act, last_layers

STEM_WIDTH = 32
HEAD_WIDTH = 1280


@dataclass(frozen=True)
class Row:
    """`repeats` blocks: the first with `stride`, all with hidden width `expand` times their input."""

    expand: int
    out: int
    repeats: int
    stride: int


class InvertedResidual(nn.Module):
    """1x1 expansion (none where expand is 1), depthwise 3x3, 1x1 without activation; residual where shapes allow."""

    def __init__(self, inp: int, out: int, expand: int, stride: int) -> None:
        super().__init__()
        hidden = inp * expand
        layers: list[nn.Module] = [] if expand == 1 else [conv_bn_act(inp, hidden, 1, act=nn.ReLU6)]
        layers.append(conv_bn_act(hidden, hidden, 3, stride, groups=hidden, act=nn.ReLU6))
        layers += [nn.Conv2d(hidden, out, 1, bias=False), nn.BatchNorm2d(out)]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and inp == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(MobileNet):
    """(B, 3, H, W) -> class logits (B, classes). Sides are multiples of 32."""

    def __init__(self, rows: tuple[Row, ...], num_classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_bn_act(3, STEM_WIDTH, 3, 2, act=nn.ReLU6)]
        inp = STEM_WIDTH
        strides = [2]  # of each layer
        for row in rows:
            for i in range(row.repeats):
                strides.append(row.stride if i == 0 else 1)
                layers.append(InvertedResidual(inp, row.out, row.expand, strides[-1]))
                inp = row.out
        self.feature_layers = last_layers(strides)
        layers.append(conv_bn_act(inp, HEAD_WIDTH, 1, act=nn.ReLU6))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Identity(), nn.Linear(HEAD_WIDTH, num_classes))  # 0 is dropout's slot


# table 2 of the paper
VARIANTS: dict[str, tuple[Row, ...]] = {
    "100": (
        Row(1, 16, 1, 1),
        Row(6, 24, 2, 2),
        Row(6, 32, 3, 2),
        Row(6, 64, 4, 2),
        Row(6, 96, 3, 1),
        Row(6, 160, 3, 2),
        Row(6, 320, 1, 1),
    ),
}


def mobilenetv2(variant: str, num_classes: int | None = None) -> MobileNetV2:
    """Builds a variant in eval mode."""
    return MobileNetV2(VARIANTS[variant], num_classes or 1000).eval()


SOURCE = Source(
    title="MobileNetV2: Inverted Residuals and Linear Bottlenecks (CVPR 2018)",
    paper="https://arxiv.org/abs/1801.04381",
    repository="https://github.com/pytorch/vision",
    commit="v0.29.2",
    licence_code="BSD-3-Clause",
    licence_weights="BSD-3-Clause (torchvision's; trained on ImageNet)",
    weights_url="https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
)

SPECS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="mobilenetv2-100",
        family="mobilenetv2",
        task="classification",
        build=partial(mobilenetv2, "100"),
        num_classes=1000,
        input_size=(224, 224),
        parameters=3_504_872,
        source=SOURCE,
        classifier="classifier.1",
        macs=300_774_272,
        preprocessing=Preprocessing(crop_pct=0.875, interpolation="bilinear"),
    ),
)
