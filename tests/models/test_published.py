"""What others have published: complete, traceable, and shown for the right variant."""

from __future__ import annotations

import pytest

from edgedeploy.core.spec import ModelSpec
from edgedeploy.models.published import NAMES, all_published, published_accuracy, published_for
from tests.models.families import SPECS, named


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_every_variant_has_a_published_accuracy_of_its_own_task(spec: ModelSpec) -> None:
    shown = published_accuracy(spec)
    assert shown is not None
    assert shown.task == spec.task
    dataset = "ADE20K val" if spec.family == "topformer" else "Cityscapes val"
    assert shown.dataset == {"classification": "ImageNet-1k", "segmentation": dataset}[spec.task]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("edgenext-xx-small", 71.23),
        ("edgenext-x-small", 74.96),
        ("edgenext-small", 79.41),
        ("edgenext-base", 82.47),
        ("edgenext-xx-small-bn-hs", 70.33),
        ("edgevit-xxs", 74.4),
        ("edgevit-s", 81.0),
        ("conv2former-n", 81.5),
        ("conv2former-b", 84.4),
        ("conv2former-b-22k", 86.2),
        ("conv2former-l", 87.0),
        ("xformer", 78.5),
        ("mobilenetv2-100", 71.878),
        ("mobilenetv3-large-100", 74.042),
        ("mobilevit-s", 78.298),
        ("swin-tiny", 81.474),
    ],
)
def test_the_accuracy_shown_is_that_of_the_checkpoint_that_the_spec_names(name: str, value: float) -> None:
    shown = published_accuracy(named(name))
    assert shown is not None
    assert shown.value == value


def test_every_record_names_its_source_and_belongs_to_one_variant() -> None:
    for record in all_published():
        assert record.source
        assert sum(record.model in names for names in NAMES.values()) == 1, record.model
        assert record.value is not None or record.latency_ms is not None
        assert (record.value is None) == (record.metric is None)
        assert record.latency_ms is None or record.device


def test_every_name_has_a_record() -> None:
    models = {record.model for record in all_published()}
    assert not [name for names in NAMES.values() for name in names if name not in models]


def test_latencies_come_with_their_device() -> None:
    on_nano = [r for r in published_for("edgenext-xx-small") if r.device and "Jetson Nano" in r.device]
    assert [(r.latency_ms, r.precision, r.source.split()[0]) for r in on_nano] == [
        (19.3, "fp16", "EdgeNeXt"),
        (33.5, None, "TinyNeXt"),
    ]
    assert [r.device for r in published_for("edgevit-xxs") if r.latency_ms == 32.8] == ["Snapdragon 888"]


def test_an_unknown_variant_has_no_records() -> None:
    assert published_for("resnet-50") == ()
