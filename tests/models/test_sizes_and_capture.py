"""Other input sizes, and capture by torch.export, for the smallest variant of each family."""

from __future__ import annotations

import pytest
import torch

from edgedeploy.core.errors import InputSizeRefused
from edgedeploy.core.spec import ModelSpec
from tests.models.families import SMALLEST, SPECS, named
from tests.models.reference import golden_input, seeded

SIZES = [
    ("edgenext-xx-small", (224, 224)),
    ("edgenext-xx-small", (288, 288)),
    ("edgenext-xx-small", (96, 160)),
    ("edgenext-xx-small-bn-hs", (64, 96)),
    ("edgevit-xxs", (256, 256)),
    ("edgevit-xxs", (96, 160)),
    ("conv2former-n", (192, 192)),
    ("conv2former-n", (256, 256)),
    ("conv2former-n", (64, 96)),
    ("xformer", (128, 192)),
    ("xformer-seg", (128, 192)),
    ("mobilenetv2-100", (64, 96)),
    ("mobilenetv3-large-100", (64, 96)),
    ("mobilevit-s", (128, 192)),
    ("swin-tiny", (256, 160)),
]


@pytest.mark.parametrize(("name", "size"), SIZES, ids=lambda value: str(value).replace(" ", ""))
@torch.no_grad()
def test_another_input_size_runs_and_is_captured_equal(name: str, size: tuple[int, int]) -> None:
    spec = named(name)
    network = seeded(spec.build(num_classes=10))
    x = golden_input({"seed": 1, "shape": list(spec.input_shape(size)), "scale": 1.0})
    expected = network(x)
    assert expected.isfinite().all()
    assert expected.shape[:2] == (1, 10)
    assert torch.equal(torch.export.export(network, (x,)).module()(x), expected)


@pytest.mark.parametrize("spec", SMALLEST, ids=str)
@torch.no_grad()
def test_the_smallest_of_a_family_is_captured_whole(spec: ModelSpec) -> None:
    network = seeded(spec.build())
    x = golden_input({"seed": 2, "shape": list(spec.input_shape()), "scale": 1.0})
    program = torch.export.export(network, (x,))
    assert torch.equal(program.module()(x), network(x))
    targets = {str(node.target) for node in program.graph.nodes}
    operators = {target.split(".")[1] for target in targets if target.startswith("aten.")}
    assert not [name for name in operators if name.endswith("_")], "an in-place operator"
    assert not [name for name in operators if "assert" in name], "a run-time check"


@pytest.mark.parametrize("name", ["xformer", "mobilevit-s"])
def test_networks_of_2x2_patches_require_multiples_of_64(name: str) -> None:
    with pytest.raises(InputSizeRefused, match="multiples of 64"):
        named(name).input_shape((224, 224))


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_every_spec_names_its_classifier_and_is_built_in_eval_mode(spec: ModelSpec) -> None:
    with torch.device("meta"):
        network = spec.build(num_classes=7)
    assert network.get_submodule(spec.classifier).get_parameter("weight").shape[0] == 7
    assert not any(module.training for module in network.modules())
    assert spec.input_shape() == (1, 3, *spec.input_size)
    assert spec.source.title
    assert spec.source.paper.startswith("https://")
