"""MobileNetV3-Large, a baseline: inverted residuals with squeeze-excitation and hard-swish.

Howard et al., "Searching for MobileNetV3", ICCV 2019, https://arxiv.org/abs/1905.02244. Keys and shapes are those of
torchvision's `mobilenet_v3_large` checkpoints (BSD-3-Clause), which load as they are. BatchNorm eps is 1e-3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.core.spec import ModelSpec, Preprocessing, Source

from .layers import MobileNet, conv_bn_act, last_layers

BN_EPS = 1e-3
STEM_WIDTH = 16
HEAD_WIDTH = 1280


def _conv(
    inp: int, out: int, kernel: int, stride: int = 1, *, act: type[nn.Module] | None, groups: int = 1
) -> nn.Sequential:
    layers = conv_bn_act(inp, out, kernel, stride, act=act, groups=groups)
    norm = layers[1]
    assert isinstance(norm, nn.BatchNorm2d)
    norm.eps = BN_EPS
    return layers


@dataclass(frozen=True)
class Row:
    """One block: depthwise kernel, hidden width, output width, squeeze-excitation or not, activation, stride."""

    kernel: int
    hidden: int
    out: int
    excite: bool
    act: type[nn.Module]
    stride: int


def squeeze_width(hidden: int) -> int:
    """A quarter of the width, rounded to a multiple of 8 that is no more than a tenth smaller."""
    rounded = max(8, (hidden // 4 + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * (hidden // 4) else rounded


class SqueezeExcitation(nn.Module):
    """Scales each channel by a hard-sigmoid gate that two 1x1 convolutions make from the channel means."""

    def __init__(self, dim: int, squeeze: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(dim, squeeze, 1)
        self.fc2 = nn.Conv2d(squeeze, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = F.adaptive_avg_pool2d(x, 1)  # (B, C, 1, 1)
        return x * F.hardsigmoid(self.fc2(F.relu(self.fc1(mean))))


class InvertedResidual(nn.Module):
    """1x1 expansion (none where the width stays), depthwise, gate, 1x1 without activation; residual where it fits."""

    def __init__(self, inp: int, row: Row) -> None:
        super().__init__()
        hidden = row.hidden
        layers: list[nn.Module] = [] if hidden == inp else [_conv(inp, hidden, 1, act=row.act)]
        layers.append(_conv(hidden, hidden, row.kernel, row.stride, groups=hidden, act=row.act))
        if row.excite:
            layers.append(SqueezeExcitation(hidden, squeeze_width(hidden)))
        layers.append(_conv(hidden, row.out, 1, act=None))
        self.block = nn.Sequential(*layers)
        self.residual = row.stride == 1 and inp == row.out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x) if self.residual else self.block(x)


class MobileNetV3(MobileNet):
    """(B, 3, H, W) -> class logits (B, classes). Sides are multiples of 32."""

    def __init__(self, rows: tuple[Row, ...], num_classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(3, STEM_WIDTH, 3, 2, act=nn.Hardswish)]
        inp = STEM_WIDTH
        for row in rows:
            layers.append(InvertedResidual(inp, row))
            inp = row.out
        self.feature_layers = last_layers([2, *(row.stride for row in rows)])
        last = 6 * inp
        layers.append(_conv(inp, last, 1, act=nn.Hardswish))
        self.features = nn.Sequential(*layers)
        # 2 is dropout's slot
        self.classifier = nn.Sequential(
            nn.Linear(last, HEAD_WIDTH), nn.Hardswish(), nn.Identity(), nn.Linear(HEAD_WIDTH, num_classes)
        )


RE, HS = nn.ReLU, nn.Hardswish

# table 1 of the paper: kernel, hidden, out, squeeze-excitation, activation, stride
VARIANTS: dict[str, tuple[Row, ...]] = {
    "large-100": (
        Row(3, 16, 16, False, RE, 1),
        Row(3, 64, 24, False, RE, 2),
        Row(3, 72, 24, False, RE, 1),
        Row(5, 72, 40, True, RE, 2),
        Row(5, 120, 40, True, RE, 1),
        Row(5, 120, 40, True, RE, 1),
        Row(3, 240, 80, False, HS, 2),
        Row(3, 200, 80, False, HS, 1),
        Row(3, 184, 80, False, HS, 1),
        Row(3, 184, 80, False, HS, 1),
        Row(3, 480, 112, True, HS, 1),
        Row(3, 672, 112, True, HS, 1),
        Row(5, 672, 160, True, HS, 2),
        Row(5, 960, 160, True, HS, 1),
        Row(5, 960, 160, True, HS, 1),
    ),
}


def mobilenetv3(variant: str, num_classes: int | None = None) -> MobileNetV3:
    """Builds a variant in eval mode."""
    return MobileNetV3(VARIANTS[variant], num_classes or 1000).eval()


SOURCE = Source(
    title="Searching for MobileNetV3 (ICCV 2019)",
    paper="https://arxiv.org/abs/1905.02244",
    repository="https://github.com/pytorch/vision",
    commit="v0.29.2",
    licence_code="BSD-3-Clause",
    licence_weights="BSD-3-Clause (torchvision's; trained on ImageNet)",
    weights_url="https://download.pytorch.org/models/mobilenet_v3_large-8738ca79.pth",
)

SPECS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="mobilenetv3-large-100",
        family="mobilenetv3",
        task="classification",
        build=partial(mobilenetv3, "large-100"),
        num_classes=1000,
        input_size=(224, 224),
        parameters=5_483_032,
        source=SOURCE,
        classifier="classifier.3",
        macs=216_589_760,
        preprocessing=Preprocessing(crop_pct=0.875, interpolation="bilinear"),
    ),
)
