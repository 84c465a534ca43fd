"""Networks of timm and torchvision, by packages of the test's own: the real ones are optional extras."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from edgedeploy.core.errors import MissingExtra, ModelInvalid, UnknownName, UsageError

from .user_nets import load


def fake_library(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "__init__.py").write_text(text)


TIMM = """
from torch import nn
def is_model(name): return name == "tiny_net"
def list_models(): return ["tiny_net"]
def create_model(name, pretrained=False, exportable=False, num_classes=7, img_size=48):
    if pretrained:
        raise ConnectionError("no route to the hub")
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                        nn.Linear(4, num_classes))
    net.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25), "input_size": (3, 48, 48),
                          "crop_pct": 0.9, "interpolation": "bicubic", "classifier": "4"}
    return net
"""


@pytest.fixture
def timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(tmp_path, "timm", TIMM)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "timm", raising=False)


@pytest.mark.usefixtures("timm")
def test_a_timm_network_brings_its_preprocessing_and_gets_the_zoos_random_weights() -> None:
    network = load("timm:tiny_net", num_classes=3)
    assert network.name == "timm-tiny-net"
    assert network.image_size == (48, 48)
    assert network.preprocessing.mean == (0.5, 0.5, 0.5)
    assert (network.preprocessing.crop_pct, network.preprocessing.interpolation) == (0.9, "bicubic")
    assert network.random
    assert network.weights.seed == 0
    assert network.module.get_parameter("1.weight").unique().item() == 0.5


@pytest.mark.usefixtures("timm")
def test_arguments_go_to_the_constructor_and_decide_the_input() -> None:
    network = load("timm:tiny_net?num_classes=3&img_size=32")
    assert network.name == "timm-tiny-net-num-classes-3-img-size-32"
    assert network.image_size == (32, 32)
    assert network.weights.num_classes == 3
    assert network.module.get_parameter("4.weight").shape == (3, 4)


@pytest.mark.usefixtures("timm")
def test_arguments_that_the_constructor_does_not_take_are_explained() -> None:
    with pytest.raises(ModelInvalid, match="unexpected keyword argument 'depth'") as caught:
        load("timm:tiny_net?depth=3")
    assert "constructor" in str(caught.value)
    with pytest.raises(UsageError, match="both give the number of classes"):
        load("timm:tiny_net?num_classes=3", num_classes=4)
    with pytest.raises(UsageError, match="no number of classes"):
        load("timm:tiny_net?num_classes=many")


def test_a_package_that_a_library_misses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(tmp_path, "timm", "import torchvision.transforms")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ModelInvalid, match="needs the package 'torchvision', which timm imports") as caught:
        load("timm:resnet18")
    assert torch.__version__ in str(caught.value)


@pytest.mark.usefixtures("timm")
def test_a_timm_typo_and_a_hub_that_cannot_be_reached_are_explained() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'tiny_net'"):
        load("timm:tiny_nte")
    with pytest.raises(ModelInvalid, match="cannot be downloaded") as caught:
        load("timm:tiny_net", weights="official")
    assert "no route to the hub" in str(caught.value)


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_a_library_that_is_not_installed_names_its_extra(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=f"needs the package '{library}'") as caught:
        load(f"{library}:resnet18")
    assert f"edgedeploy[{library}]" in str(caught.value)


def test_a_library_that_was_built_for_another_torch_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_library(tmp_path, "torchvision", "raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    with pytest.raises(ModelInvalid, match="does not load") as caught:
        load("torchvision:resnet18")
    assert torch.__version__ in str(caught.value)
