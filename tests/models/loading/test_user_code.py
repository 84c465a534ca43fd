"""Code of the user: what it can import while it runs, and what it leaves behind."""

from __future__ import annotations

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
