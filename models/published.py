"""What others have published about the zoo's variants: accuracy, and latency with its device. Nothing here was measured by
this project, and none of it is a claim about an artifact that edgedeploy made.

The records are in published.json, one a line, under the names that their sources use; `NAMES` maps each variant to these
names. A variant's records come with its authors' own accuracy first, then other trainings, then latencies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edgedeploy.core.spec import ModelSpec
from edgedeploy.core.storage.json_records import decode


@dataclass(frozen=True)
class Published:
    """One published figure, or two that belong together.

    Attributes:
        model: the name in the source.
        task: "classification" or "segmentation".
        source: where it was read.
        dataset, metric, value: such as "ImageNet-1k", "top1", 71.2 (percent); value is None where only time was published.
        params, macs: as the source prints them, rounded.
        latency_ms, device, precision: time for one image; the device may be "not stated".
        input: side of the square input.
        note: what a reader must know to compare it.
        read_from_chart: the latency was measured in a picture.
    """

    model: str
    task: str
    source: str
    dataset: str | None = None
    metric: str | None = None
    value: float | None = None
    params: int | None = None
    macs: int | None = None
    latency_ms: float | None = None
    device: str | None = None
    precision: str | None = None
    input: int | None = None
    note: str | None = None
    read_from_chart: bool = False


# variant -> its names in the sources. Ablations, and networks that only use a variant as their backbone, are left out.
NAMES: dict[str, tuple[str, ...]] = {
    "topformer-tiny": ("TopFormer-T", "TopFormer-Tiny"),
    "topformer-small": ("TopFormer-S", "TopFormer-Small"),
    "topformer-base": ("TopFormer-B", "TopFormer-Base"),
    "topformer-tiny-cls": ("TopFormer-T cls",),
    "topformer-small-cls": ("TopFormer-S cls",),
    "topformer-base-cls": ("TopFormer-B cls",),
    "edgenext-xx-small": ("EdgeNeXt-XXS", "edgenext_xx_small", "edgenext_xx_small.in1k"),
    "edgenext-x-small": ("EdgeNeXt-XS", "edgenext_x_small", "edgenext_x_small.in1k"),
    "edgenext-small": ("EdgeNeXt-S", "EdgeNeXt-S (USI)", "edgenext_small", "edgenext_small.usi_in1k"),
    "edgenext-base": (
        "EdgeNeXt-B",
        "EdgeNeXt-B (USI)",
        "EdgeNeXt-B (ImageNet-21K pretrained)",
        "edgenext_base",
        "edgenext_base.usi_in1k",
        "edgenext_base.in21k_ft_in1k",
    ),
    "edgenext-xx-small-bn-hs": ("EdgeNeXt-XXS bn_hs",),
    "edgenext-x-small-bn-hs": ("EdgeNeXt-XS bn_hs",),
    "edgenext-small-bn-hs": ("EdgeNeXt-S bn_hs",),
    "edgevit-xxs": ("EdgeViT-XXS", "EdgeViT-XXS (EasyCV training)"),
    "edgevit-xs": ("EdgeViT-XS",),
    "edgevit-s": ("EdgeViT-S",),
    "conv2former-n": ("Conv2Former-N",),
    "conv2former-t": ("Conv2Former-T",),
    "conv2former-s": ("Conv2Former-S", "Conv2Former-S (ImageNet-22k)"),
    "conv2former-b": ("Conv2Former-B",),
    "conv2former-b-22k": ("Conv2Former-B (ImageNet-22k)",),
    "conv2former-l": ("Conv2Former-L (ImageNet-22k)",),
    "xformer": ("XFormer",),
    "xformer-seg": ("XFormer + all-MLP decoder",),
    "mobilenetv2-100": (
        "mobilenet_v2",
        "MobileNetV2",
        "MobileNetV2 x1.0",
        "mobilenetv2_100",
        "mobilenetv2_100.ra_in1k",
    ),
    "mobilenetv3-large-100": (
        "mobilenet_v3_large",
        "MobileNetV3-L",
        "MobileNetV3-L x1.0",
        "mobilenetv3_large_100",
        "mobilenetv3_large_100.ra_in1k",
    ),
    "mobilevit-s": ("MobileViT-S", "mobilevit_s", "mobilevit_s.cvnets_in1k"),
    "swin-tiny": ("swin_t", "Swin-T", "swin_tiny_patch4_window7_224", "swin_tiny_patch4_window7_224.ms_in1k"),
}


@cache
def all_published() -> tuple[Published, ...]:
    """Every record, in the file's order."""
    return decode(Path(__file__).with_name("published.json").read_bytes(), tuple[Published, ...])


def published_for(spec_name: str) -> tuple[Published, ...]:
    """All that was published about a variant, the authors' own accuracy first; empty where nothing is known."""
    names = NAMES.get(spec_name, ())
    return tuple(record for record in all_published() if record.model in names)


def published_accuracy(spec: ModelSpec) -> Published | None:
    """The one accuracy to show for a variant: the first at its own input size, else the first at all."""
    records = [record for record in published_for(spec.name) if record.value is not None]
    own_size = [record for record in records if record.input in (None, spec.input_size[0])]
    return next(iter(own_size or records), None)


# Devices in the order of how near their time is to an Arm CPU's.
NEAREST = ("snapdragon", "arm", "exynos", "rk3288", "iphone", "not stated", "cpu", "xeon", "")


def published_latency(spec: ModelSpec) -> Published | None:
    """The one latency to show for a variant: on the device that is nearest to an Arm CPU, at its own input size if there is
    one.
    """
    records = [record for record in published_for(spec.name) if record.latency_ms is not None]

    def distance(record: Published) -> tuple[int, int]:
        device = (record.device or "").lower()
        return next(i for i, part in enumerate(NEAREST) if part in device), int(record.input != spec.input_size[0])

    return min(records, key=distance, default=None)
