"""Classification networks as feature backbones."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgedeploy.core.errors import ModelInvalid
from edgedeploy.core.spec import ModelSpec
from edgedeploy.models.adapters.features import FeatureBackbone
from tests.models.families import CLASSIFIERS, named
from tests.models.reference import golden_input, seeded


@pytest.mark.parametrize("spec", CLASSIFIERS, ids=str)
def test_four_maps_come_out_at_the_stated_strides(spec: ModelSpec) -> None:
    with torch.device("meta"):
        backbone = FeatureBackbone(spec.build())
        maps = backbone(torch.empty(spec.input_shape((128, 192))))
    assert backbone.feature_strides == (4, 8, 16, 32)
    assert [tuple(m.shape[2:]) for m in maps] == [(128 // s, 192 // s) for s in backbone.feature_strides]
    assert all(m.ndim == 4 and m.shape[0] == 1 for m in maps)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("edgenext-xx-small", [24, 48, 88, 168]),
        ("edgevit-xxs", [36, 72, 144, 288]),
        ("conv2former-n", [64, 128, 256, 512]),
        ("xformer", [64, 96, 128, 160]),
        ("mobilenetv2-100", [24, 32, 96, 320]),
        ("mobilenetv3-large-100", [24, 40, 112, 160]),
        ("mobilevit-s", [64, 96, 128, 160]),
        ("swin-tiny", [96, 192, 384, 768]),
    ],
)
def test_the_maps_have_the_widths_of_the_stages(name: str, channels: list[int]) -> None:
    with torch.device("meta"):
        maps = FeatureBackbone(named(name).build())(torch.empty(1, 3, 64, 64))
    assert [m.shape[1] for m in maps] == channels


@pytest.mark.parametrize("name", ["edgenext-xx-small", "mobilenetv3-large-100"])
@torch.no_grad()
def test_a_backbone_is_captured_without_its_classifier(name: str) -> None:
    backbone = FeatureBackbone(seeded(named(name).build()))
    x = golden_input({"seed": 0, "shape": [1, 3, 64, 64], "scale": 1.0})
    program = torch.export.export(backbone, (x,))
    for ours, captured in zip(backbone(x), program.module()(x), strict=True):
        assert torch.equal(ours, captured)
    weight = f"network.{named(name).classifier}.weight"
    used = {node.name for node in program.graph.nodes if node.op == "placeholder" and node.users}
    placeholder = next(
        spec.arg.name for spec in program.graph_signature.input_specs if spec.target == weight
    )  # the classifier's weight is an input of the graph that nothing reads
    assert placeholder not in used


def test_a_network_without_stage_outputs_is_refused() -> None:
    with pytest.raises(ModelInvalid, match="Linear has no stage outputs"):
        FeatureBackbone(nn.Linear(2, 2))
