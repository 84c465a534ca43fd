"""Code of the user: what it can import while it runs, and what it leaves behind."""

from __future__ import annotations

import importlib
import os
import statistics
import sys
from pathlib import Path

import pytest
import torch

from edgedeploy.models.loading.user_code import importable
from edgedeploy.models.rewrites import capture

from .user_nets import load

IMPORTS = """
import torch
from torch import nn
import {name}_blocks


class Net(nn.Module):
    def forward(self, x):
        from {name}_scales import SCALE
        if torch.compiler.is_exporting():
            from {name}_shifts import SHIFT
            return {name}_blocks.double(x) * SCALE + SHIFT
        return {name}_blocks.double(x) * SCALE


def make():
    return Net(), torch.zeros(1, 3, 4, 4)
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    """A network that imports a module beside it when it is loaded, one when it runs, one when it is captured."""
    (tmp_path / "beside.py").write_text(IMPORTS.format(name="beside"))
    (tmp_path / "beside_blocks.py").write_text("def double(x):\n    return 2 * x\n")
    (tmp_path / "beside_scales.py").write_text("SCALE = 3\n")
    (tmp_path / "beside_shifts.py").write_text("SHIFT = 1\n")
    return f"{tmp_path / 'beside.py'}:make"


@pytest.fixture(autouse=True)
def modules_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("beside_blocks", "beside_scales", "beside_shifts"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_the_search_path_is_as_before_once_a_network_is_loaded(net: str) -> None:
    before = list(sys.path)
    load(net)
    assert sys.path == before


def test_the_search_path_is_as_before_after_an_error(tmp_path: Path) -> None:
    before = list(sys.path)
    (tmp_path / "beside.py").write_text("raise ValueError\n")
    with pytest.raises(Exception, match="cannot be imported"):
        load(f"{tmp_path / 'beside.py'}:make")
    assert sys.path == before


def test_a_network_imports_the_modules_beside_it_while_it_runs_and_while_it_is_captured(net: str) -> None:
    network, x = load(net), torch.ones(1, 3, 4, 4)
    with network.running():
        assert torch.equal(network.module(x), 6 * x)
        assert torch.equal(capture(network.module, (x,))(x), 6 * x + 1)


def test_a_folder_that_was_on_the_search_path_stays_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = list(sys.path)
    with importable(tmp_path):
        pass
    assert sys.path == before


def test_a_file_called_like_another_module_does_not_replace_it(tmp_path: Path) -> None:
    text = "from torch import nn\nimport torch\n\ndef make():\n    return nn.Identity(), torch.zeros(1)\n"
    (tmp_path / "statistics.py").write_text(text)
    load(f"{tmp_path / 'statistics.py'}:make")
    assert sys.modules["statistics"] is statistics


def test_files_of_one_name_in_two_folders_are_two_modules(tmp_path: Path) -> None:
    text = (
        "import torch\nfrom torch import nn\n\nclass Net(nn.Identity): pass\n\n"
        "def make():\n    return Net(), torch.zeros(1)\n"
    )
    modules = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "net.py").write_text(text)
        modules.append(type(load(f"{tmp_path / name / 'net.py'}:make").module).__module__)
    assert len(set(modules)) == 2
    assert all(name in sys.modules for name in modules)


LIBRARY_LIKE = "raise RuntimeError('a file of the user took the place of a module of Python')\n"


def test_a_file_beside_a_network_takes_no_modules_place_in_other_code(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import importlib, torch\nfrom torch import nn\n\n"
        "def make():\n    importlib.import_module('wave')\n    return nn.Identity(), torch.zeros(1)\n"
    )
    (tmp_path / "wave.py").write_text(LIBRARY_LIKE)
    network = load(f"{tmp_path / 'net.py'}:make")
    with network.running():
        sys.modules.pop("wave", None)
        importlib.import_module("wave")


def test_a_network_gets_the_file_beside_it_whatever_else_has_its_name(tmp_path: Path) -> None:
    values = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "statistics.py").write_text(f"VALUE = {name!r}\n")
        (tmp_path / name / "net.py").write_text(
            "import statistics, torch\nfrom torch import nn\n\n"
            "class Net(nn.Module):\n    value = statistics.VALUE\n    def forward(self, x): return x\n\n"
            "def make():\n    return Net(), torch.zeros(1)\n"
        )
        values.append(load(f"{tmp_path / name / 'net.py'}:make").module.value)
    assert values == ["a", "b"]
    assert sys.modules["statistics"] is statistics


def test_modules_by_a_computed_name_are_each_networks_own(tmp_path: Path) -> None:
    values = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "parts_by_name.py").write_text(f"VALUE = {name!r}\n")
        (tmp_path / name / "net.py").write_text(
            "import importlib, torch\nfrom torch import nn\n\n"
            "class Net(nn.Module):\n    def forward(self, x): return x\n\n"
            "def make():\n    net = Net()\n    net.value = importlib.import_module('parts_by_name').VALUE\n"
            "    return net, torch.zeros(1)\n"
        )
        values.append(load(f"{tmp_path / name / 'net.py'}:make").module.value)
    assert values == ["a", "b"]
    assert "parts_by_name" not in sys.modules


def test_a_changed_file_is_loaded_anew_and_no_bytecode_is_left_beside_it(tmp_path: Path) -> None:
    text = "import torch, scale_of_net\nfrom torch import nn\n\ndef make():\n    net = nn.Identity()\n"
    (tmp_path / "net.py").write_text(text + "    net.scale = scale_of_net.SCALE\n    return net, torch.zeros(1)\n")
    scales = []
    for scale in (3, 5):
        (tmp_path / "scale_of_net.py").write_text(f"SCALE = {scale}\n")
        scales.append(load(f"{tmp_path / 'net.py'}:make").module.scale)
    assert scales == [3, 5]
    assert not (tmp_path / "__pycache__").exists()


def test_a_package_of_the_user_imports_its_parts_in_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "nets_of_mine"
    (package / "parts").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "parts" / "__init__.py").write_text("from . import one\n")
    (package / "parts" / "one.py").write_text("ONE = 1\n")
    (package / "parts" / "two.py").write_text("import nets_of_mine.parts.one as one\nTWO = one.ONE + 1\n")
    (package / "net.py").write_text(
        "import torch\nimport nets_of_mine.parts.one\nfrom nets_of_mine.parts import two\nfrom .parts.one import ONE\n\n"
        "def make():\n    net = torch.nn.Identity()\n"
        "    net.found = (nets_of_mine.parts.one.ONE, two.TWO, ONE)\n    return net, torch.zeros(1)\n"
    )
    monkeypatch.chdir(tmp_path)
    assert load("nets_of_mine.net:make").module.found == (1, 2, 1)


def test_the_end_of_a_process_is_as_before_after_blocks_that_overlap(tmp_path: Path) -> None:
    before = os._exit
    first, second = importable(None), importable(tmp_path)
    first.__enter__()
    second.__enter__()
    with pytest.raises(SystemExit):
        os._exit(0)
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert os._exit is before
