"""Networks of the user's own: every way to name one, what it takes and gives, and the errors on the way."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgedeploy import export
from edgedeploy.core.errors import (
    EdgedeployError,
    ExportFailed,
    MissingExtra,
    ModelInvalid,
    UnknownName,
    UsageError,
    WeightsInvalid,
)
from edgedeploy.models.adapters.flat import flatten
from edgedeploy.models.loading.factories import safe_name
from edgedeploy.models.loading.networks import Network, network_for, parse_input, with_features

NET = '''
import torch
from torch import nn


class Two(nn.Module):
    """An image and tokens in, a dictionary out."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(50, 8)
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, image, tokens):
        y = self.conv(image).relu()
        return {"scores": y.mean((2, 3)) + self.table(tokens).mean(1), "more": (y, None)}


class Branch(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x
        return -x


class Narrow(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1))

    def forward(self, x):
        return self.body(x)


def two():
    return Two(), (torch.randn(1, 3, 16, 16), torch.randint(0, 50, (1, 6)))


def by_name():
    return Two(), {"tokens": torch.randint(0, 50, (1, 6)), "image": torch.randn(1, 3, 16, 16)}


def plain(num_classes=5):
    print("building")
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(1), nn.LazyLinear(num_classes))


def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def branch():
    return nn.Sequential(nn.Conv2d(3, 3, 1), Branch())


def raises():
    sizes = {}
    return sizes["nope"]


def wants(depth, width=3):
    return nn.Identity()


def number():
    return 7


def gives_a_number():
    class Net(nn.Module):
        def forward(self, x):
            return {"size": x.shape[0]}

    return Net(), torch.zeros(1, 3)


ready = nn.Sequential(nn.Conv2d(3, 4, 3))
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    (folder / "net.py").write_text(NET)
    return folder


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return folder


def inputs_of(network: Network) -> list[tuple[str, tuple[int, ...], str]]:
    return [(spec.name, spec.shape, spec.dtype) for spec in network.inputs]


# finding and building


def test_a_factory_in_a_file_says_what_it_takes_and_its_outputs_are_named_in_order(here: Path) -> None:
    network = network_for("net.py:two")
    assert network.name == "net-two"
    assert inputs_of(network) == [("image", (1, 3, 16, 16), "float32"), ("tokens", (1, 6), "int64")]
    assert network.output_names == ("scores", "more.0")
    assert not network.module.training
    assert network.weights["kind"] == "factory"


def test_inputs_by_name_go_to_the_parameters_of_that_name(here: Path) -> None:
    network = network_for("net.py:by_name")
    assert [spec.name for spec in network.inputs] == ["tokens", "image"]
    drawn = [torch.from_numpy(array) for array in network.draw(np.random.default_rng(0))]
    scores, maps = network.module(*drawn)
    expected = network.module.get_submodule("network")(tokens=drawn[0], image=drawn[1])
    assert torch.equal(scores, expected["scores"])
    assert torch.equal(maps, expected["more"][0])


def test_a_factory_is_found_in_a_package_of_the_current_folder(here: Path) -> None:
    (here / "mine_for_intake").mkdir(exist_ok=True)
    (here / "mine_for_intake" / "__init__.py").write_text("")
    (here / "mine_for_intake" / "nets.py").write_text(NET)
    network = network_for("mine_for_intake.nets:small", inputs=["1x3x32x32"])
    assert network.name == "mine-for-intake.nets-small"
    assert network.image_size == (32, 32)


def test_the_same_random_weights_come_at_every_call_and_stdout_stays_clean(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (network_for("net.py:small", inputs=["1x3x16x16"]).weights["sha256"] for _ in range(2))
    assert first == second
    network_for("net.py:plain", inputs=["1x3x16x16"], num_classes=3)
    printed = capsys.readouterr()
    assert "building" in printed.err
    assert not printed.out


def test_a_module_that_is_ready_is_taken_as_it_is(here: Path) -> None:
    assert network_for("net.py:ready", inputs=["1x3x16x16"]).output_names == ("output",)


def test_an_input_size_changes_the_example_of_an_image_network(here: Path) -> None:
    (here / "sized.py").write_text(NET + "\n\ndef sized():\n    return small(), torch.zeros(1, 3, 64, 64)\n")
    assert network_for("sized.py:sized").image_size == (64, 64)
    assert network_for("sized.py:sized", input_size=(32, 48)).image_size == (32, 48)
    with pytest.raises(UsageError, match="one RGB image"):
        network_for("net.py:two", input_size=(32, 32))


def test_an_exported_program_is_a_network(here: Path) -> None:
    original = network_for("net.py:two")
    inputs = tuple(torch.from_numpy(array) for array in original.draw(np.random.default_rng(1)))
    torch.export.save(torch.export.export(original.module.get_submodule("network"), inputs), here / "two.pt2")
    network = network_for("two.pt2")
    assert network.name == "two-pt2"
    assert inputs_of(network) == inputs_of(original)
    assert network.output_names == ("scores", "more.0")
    for ours, theirs in zip(network.module(*inputs), original.module(*inputs), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    assert network.weights["kind"] == "program"


def test_weights_of_an_own_network_are_loaded_exactly(here: Path) -> None:
    state = {key: value + 1 for key, value in create_model_state(here).items()}
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, here / "own.pth")
    network = network_for("net.py:small", inputs=["1x3x16x16"], weights=here / "own.pth")
    assert torch.equal(network.module.state_dict()["0.weight"], state["0.weight"])
    assert network.weights["kind"] == "checkpoint"
    torch.save({key: value for key, value in state.items() if key != "0.bias"}, here / "less.pth")
    with pytest.raises(WeightsInvalid, match=r"does not fit net\.py:small") as caught:
        network_for("net.py:small", inputs=["1x3x16x16"], weights=here / "less.pth")
    assert "0.bias" in str(caught.value)


def create_model_state(here: Path) -> dict[str, torch.Tensor]:
    return network_for("net.py:small", inputs=["1x3x16x16"]).module.state_dict()


# libraries, by packages of the test's own: the real ones are optional extras


def fake_library(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "__init__.py").write_text(text)


TIMM = """
from torch import nn
def is_model(name): return name == "tiny_net"
def list_models(): return ["tiny_net"]
def create_model(name, pretrained=False, exportable=False, num_classes=7):
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
    network = network_for("timm:tiny_net", num_classes=3)
    assert network.name == "timm-tiny-net"
    assert network.image_size == (48, 48)
    assert network.preprocessing.mean == (0.5, 0.5, 0.5)
    assert (network.preprocessing.crop_pct, network.preprocessing.interpolation) == (0.9, "bicubic")
    assert network.random
    assert network.weights["seed"] == 0
    assert network.module.get_parameter("1.weight").unique().item() == 0.5


@pytest.mark.usefixtures("timm")
def test_a_timm_typo_and_a_hub_that_cannot_be_reached_are_said() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'tiny_net'"):
        network_for("timm:tiny_nte")
    with pytest.raises(ModelInvalid, match="cannot be downloaded") as caught:
        network_for("timm:tiny_net", weights="official")
    assert "no route to the hub" in str(caught.value)


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_a_library_that_is_not_installed_names_its_extra(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=f"needs the package '{library}'") as caught:
        network_for(f"{library}:resnet18")
    assert f"edgedeploy[{library}]" in str(caught.value)


def test_a_library_that_was_built_for_another_torch_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_library(tmp_path, "torchvision", "raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    with pytest.raises(ModelInvalid, match="does not load") as caught:
        network_for("torchvision:resnet18")
    assert torch.__version__ in str(caught.value)


# errors


@pytest.mark.parametrize(
    ("model", "kind", "said"),
    [
        ("nope.py:net", ModelInvalid, "there is no file nope.py"),
        ("nope_at_all.net:make", ModelInvalid, "there is no Python module nope_at_all"),
        ("net.py:smal", UnknownName, "Did you mean 'small'"),
        ("net.py", UsageError, "does not say what in it"),
        ("net.py:", UsageError, "does not say what in it"),
        ("net.py:raises", ModelInvalid, 'net.py:58 in raises: return sizes["nope"]'),
        ("net.py:wants", ModelInvalid, "wants depth"),
        ("net.py:number", ModelInvalid, "gave a int, not a torch.nn.Module"),
        ("net.py:NET", UnknownName, "unknown factory"),
        ("net.py:small", UsageError, "does not say what it takes"),
        ("net.py:gives_a_number", ModelInvalid, "output size is a int, not a tensor"),
        ("missing.pt2", ModelInvalid, "there is no file missing.pt2"),
        ("net.py/x.pt2", ModelInvalid, "there is no file"),
    ],
)
def test_what_cannot_be_found_or_built_is_explained(
    model: str, kind: type[EdgedeployError], said: str, here: Path
) -> None:
    with pytest.raises(kind) as caught:
        network_for(model)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def make(:\n", "broken.py:1"),
        ("import no_such_package_at_all\n", "imports 'no_such_package_at_all', which is not installed"),
        ("import sys\nsys.exit(3)\n", "broken.py:2 in <module>: sys.exit(3)"),
    ],
)
def test_a_file_that_cannot_be_imported_shows_its_own_line(text: str, said: str, here: Path) -> None:
    (here / "broken.py").write_text(text)
    with pytest.raises(ModelInvalid) as caught:
        network_for("broken.py:make")
    assert said in str(caught.value)


def test_a_network_that_does_not_run_names_the_module(here: Path) -> None:
    (here / "narrow.py").write_text(NET)
    with pytest.raises(ModelInvalid, match="does not run on an input of 1x3x16x16") as caught:
        network_for("narrow.py:Narrow", inputs=["1x3x16x16"])
    assert "module: body.1 (Conv2d)" in str(caught.value)
    assert "expected input" in str(caught.value)


def test_a_network_that_cannot_be_captured_names_module_line_and_remedy(here: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match="cannot be captured") as caught:
        export("net.py:branch", "onnx-fp32", inputs=["1x3x16x16"], output=tmp_path)
    text = str(caught.value)
    assert "module: 1 (Branch)" in text
    assert "in forward: if x.sum() > 0:" in text
    assert "torch.where" in text


def test_a_program_of_the_training_mode_is_refused(here: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    torch.export.save(torch.export.export(net, (torch.zeros(2, 3, 8, 8),)), here / "train.pt2")
    with pytest.raises(ModelInvalid, match="training mode") as caught:
        network_for("train.pt2")
    assert "net.eval()" in str(caught.value)


def test_a_file_that_is_no_program_and_a_pickle_in_one_are_refused(here: Path) -> None:
    (here / "text.pt2").write_text("not a program")
    with pytest.raises(ModelInvalid, match="is no exported program"):
        network_for("text.pt2")
    torch.save({"a": torch.zeros(1)}, here / "zip.pt2")
    with pytest.raises(ModelInvalid, match="does not load"):
        network_for("zip.pt2")


@pytest.mark.parametrize("text", ["", "3x", "1x3x2.5", "1x16:complex64", "a b=1x3", "-1x3"])
def test_an_input_that_cannot_be_read_says_how_one_looks(text: str) -> None:
    with pytest.raises(UsageError, match="is no input"):
        parse_input(text)


def test_an_input_has_a_name_a_shape_and_a_type() -> None:
    spec = parse_input("tokens=1x16:int64")
    assert (spec.name, spec.shape, spec.dtype) == ("tokens", (1, 16), "int64")
    assert parse_input("1x3x224x224").dtype == "float32"


def test_zoo_networks_take_an_input_size_and_not_an_input() -> None:
    with pytest.raises(UsageError, match="networks of your own") as caught:
        network_for("topformer-tiny", inputs=["1x3x64x64"])
    assert "--input-size" in str(caught.value)


# small parts


def test_outputs_of_every_container_are_flattened_with_names() -> None:
    a, b, c = torch.zeros(1), torch.zeros(2), torch.zeros(3)
    assert [n for n, _ in flatten(a)] == ["output"]
    assert [n for n, _ in flatten((a, [b, c]))] == ["output_0", "output_1.0", "output_1.1"]
    assert [n for n, _ in flatten({"z": a, "a": {"x": b, "y": None}})] == ["z", "a.x"]


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("my_net", "Make"), "my-net-make"),
        (("../../etc", "a/b"), "etc-a-b"),
        (("..",), "network"),
        (("timm", "a.b_c"), "timm-a.b-c"),
    ],
)
def test_an_artifact_folder_has_a_safe_name(parts: tuple[str, ...], name: str) -> None:
    assert safe_name(*parts) == name


def test_drawn_integers_lie_between_the_examples_values(here: Path) -> None:
    network = network_for("net.py:two")
    tokens = np.concatenate([network.draw(np.random.default_rng(seed))[1] for seed in range(20)])
    example = network.examples[1]
    assert example.min() <= tokens.min()
    assert tokens.max() <= example.max()
    assert len(np.unique(tokens)) > 5


def test_features_are_the_four_stage_outputs_under_a_name_of_their_own() -> None:
    network = with_features(network_for("edgenext-xx-small", input_size=(64, 64)))
    assert network.name == "edgenext-xx-small-features"
    assert network.output_names == ("stride_4", "stride_8", "stride_16", "stride_32")
    with pytest.raises(UsageError, match="segmentation network"):
        with_features(network_for("topformer-tiny", input_size=(64, 64)))


# through the converters


def test_several_inputs_and_a_dictionary_of_outputs_reach_an_artifact(here: Path, tmp_path: Path) -> None:
    (artifact,) = export("net.py:two", "onnx-fp32", output=tmp_path)
    assert artifact.folder == tmp_path / "net-two" / "onnx-fp32"
    manifest = artifact.manifest
    assert [(spec.name, spec.dtype) for spec in manifest.inputs] == [("image", "float32"), ("tokens", "int64")]
    assert [(spec.name, spec.shape) for spec in manifest.outputs] == [("scores", (1, 8)), ("more.0", (1, 8, 16, 16))]
    assert all(parity.relative_error < 1e-4 for parity in manifest.parity)
    assert manifest.made_by["weights"]["factory"] == "net.py:two"


@pytest.mark.slow
@pytest.mark.parametrize("target", ["onnx-int8", "executorch-int8", "tflite-int8", "tflite-fp32", "executorch-fp32"])
def test_an_own_network_reaches_every_runtime(target: str, here: Path, tmp_path: Path) -> None:
    (artifact,) = export("net.py:small", target, inputs=["1x3x32x32"], output=tmp_path)
    assert artifact.manifest.parity[0].sqnr_db > 20


@pytest.mark.slow
@pytest.mark.parametrize("target", ["onnx-fp32", "executorch-fp32", "tflite-fp32"])
def test_features_reach_every_format_with_four_outputs(target: str, tmp_path: Path) -> None:
    (artifact,) = export("edgenext-xx-small", target, head="features", input_size=(64, 64), output=tmp_path)
    assert [spec.name for spec in artifact.manifest.outputs] == ["stride_4", "stride_8", "stride_16", "stride_32"]
    assert artifact.manifest.made_by["head"] == "features"


@pytest.mark.slow
def test_an_operator_that_does_not_lower_is_named_with_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (
        "import torch\nfrom torch import nn\n\n\nclass Spectrum(nn.Module):\n    def forward(self, x):\n"
        "        return torch.fft.rfft2(x).abs()\n\n\ndef make():\n"
        "    return nn.Sequential(nn.Conv2d(3, 3, 1), Spectrum())\n"
    )
    (tmp_path / "spectral.py").write_text(text)
    with pytest.raises(ExportFailed, match="does not lower to tflite-fp32") as caught:
        export("spectral.py:make", "tflite-fp32", inputs=["1x3x16x16"], output=tmp_path)
    assert "operator: aten._fft_r2c" in str(caught.value)
    assert "module: 1" in str(caught.value)
    assert "constant DFT matrix" in str(caught.value)
