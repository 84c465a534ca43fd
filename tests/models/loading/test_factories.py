"""Networks from files and packages of the user, and the errors on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgedeploy.core.errors import EdgedeployError, ModelInvalid, UnknownName, UsageError

from .user_nets import NET, inputs_of, load


def test_a_factory_in_a_file_gives_its_inputs_and_its_outputs_are_named_in_order(here: Path) -> None:
    network = load("net.py:two")
    assert network.name == "net-two"
    assert inputs_of(network) == [("image", (1, 3, 16, 16), "float32"), ("tokens", (1, 6), "int64")]
    assert network.output_names == ("scores", "more.0")
    assert not network.module.training
    assert network.weights.kind == "factory"


def test_inputs_by_name_go_to_the_parameters_of_that_name(here: Path) -> None:
    network = load("net.py:by_name")
    assert [spec.name for spec in network.inputs] == ["tokens", "image"]
    drawn = [torch.from_numpy(array) for array in network.draw(np.random.default_rng(0))]
    scores, maps = network.module(*drawn)
    expected = network.module.get_submodule("network")(tokens=drawn[0], image=drawn[1])
    assert torch.equal(scores, expected["scores"])
    assert torch.equal(maps, expected["more"][0])


def test_a_factory_is_found_in_a_package_of_the_current_folder(here: Path) -> None:
    (here / "mine_for_loading").mkdir(exist_ok=True)
    (here / "mine_for_loading" / "__init__.py").write_text("")
    (here / "mine_for_loading" / "nets.py").write_text(NET)
    network = load("mine_for_loading.nets:small", inputs=("1x3x32x32",))
    assert network.name == "mine-for-loading.nets-small"
    assert network.image_size == (32, 32)


def test_the_same_random_weights_come_at_every_call_and_stdout_stays_clean(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (load("net.py:small", inputs=("1x3x16x16",)).weights.sha256 for _ in range(2))
    assert first == second
    load("net.py:plain", inputs=("1x3x16x16",), num_classes=3)
    printed = capsys.readouterr()
    assert "building" in printed.err
    assert not printed.out


def test_arguments_go_to_the_factory(here: Path) -> None:
    network = load("net.py:plain?num_classes=3", inputs=("1x3x16x16",))
    assert network.module.get_parameter("4.weight").shape[0] == 3
    assert network.name == "net-plain-num-classes-3"


def test_a_module_that_is_ready_is_taken_as_it_is(here: Path) -> None:
    assert load("net.py:ready", inputs=("1x3x16x16",)).output_names == ("output",)


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        ("nope.py:net", ModelInvalid, "there is no file nope.py"),
        ("nope_at_all.net:make", ModelInvalid, "there is no Python module nope_at_all"),
        ("net.py:smal", UnknownName, "Did you mean 'small'"),
        ("net.py", UsageError, "does not name what makes the network"),
        ("net.py:", UsageError, "does not name what makes the network"),
        ("net.py:raises", ModelInvalid, 'net.py:58 in raises: return sizes["nope"]'),
        ("net.py:wants", ModelInvalid, "without depth, which it requires"),
        ("net.py:plain?num_class=3", UnknownName, "Did you mean 'num_classes'"),
        ("net.py:ready?depth=3", UsageError, "is a ready module: it takes no arguments"),
        ("net.py:number", ModelInvalid, "returned an object of type int, not a torch.nn.Module"),
        ("net.py:NET", UnknownName, "unknown factory"),
        ("net.py:small", UsageError, "does not describe its inputs"),
        ("net.py:gives_a_number", ModelInvalid, "output size is a int, not a tensor"),
        ("missing.pt2", ModelInvalid, "there is no file missing.pt2"),
        ("net.py/x.pt2", ModelInvalid, "there is no file"),
    ],
)
def test_what_cannot_be_found_or_built_is_explained(
    model: str, kind: type[EdgedeployError], message: str, here: Path
) -> None:
    with pytest.raises(kind) as caught:
        load(model)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def make(:\n", "broken.py:1"),
        ("import no_such_package_at_all\n", "imports 'no_such_package_at_all', which is not installed"),
        ("import sys\nsys.exit(3)\n", "broken.py:2 in <module>: sys.exit(3)"),
    ],
)
def test_a_file_that_cannot_be_imported_shows_its_own_line(text: str, message: str, here: Path) -> None:
    (here / "broken.py").write_text(text)
    with pytest.raises(ModelInvalid) as caught:
        load("broken.py:make")
    assert message in str(caught.value)
