"""Which exported programs are loaded: a graph of operators and tensors, and nothing that runs as code."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from edgedeploy.core.errors import ModelInvalid
from edgedeploy.models.loading.programs.program_check import check_program, is_arithmetic

from .user_nets import load


class Reshaped(nn.Module):
    """Its graph has a symbolic shape."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(x.shape[0] * 2, -1).relu()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "net.pt2"
    shapes = {"x": {0: torch.export.Dim("b", min=2, max=64)}}
    torch.export.save(torch.export.export(Reshaped(), (torch.zeros(4, 6),), dynamic_shapes=shapes), path)
    return path


def changed(program: Path, folder: Path, change: Callable[[str, bytes], bytes], **more: bytes) -> Path:
    """A copy of the program with other contents, and further members."""
    path = folder / "net.pt2"
    with zipfile.ZipFile(program) as source, zipfile.ZipFile(path, "w") as copy:
        for name in source.namelist():
            copy.writestr(name, change(name, source.read(name)))
        for name, content in more.items():
            copy.writestr(name, content)
    return path


def test_a_program_with_a_symbolic_shape_is_accepted(program: Path) -> None:
    check_program(program)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Symbol('s77'", b"__import__('os').system('touch {mark}'"),
        (b"Integer(2)", b"Max('open(chr(47))')"),
        (b"torch.ops.aten.relu.default", b"torch.os.system"),
        (b"torch.ops.aten.relu.default", b"torch.ops.load_library"),
        (b"torch.ops.aten.relu.default", b"_operator.methodcaller"),
    ],
)
def test_what_would_run_as_code_is_refused_before_torch_reads_it(
    old: bytes, new: bytes, program: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    seen = []

    def change(name: str, content: bytes) -> bytes:
        seen.append(old in content)
        return content.replace(old, new.replace(b"{mark}", bytes(mark)))

    path = changed(program, tmp_path, change)
    assert any(seen)
    with pytest.raises(ModelInvalid, match="could run code"):
        load(str(path))
    assert not mark.exists()


@pytest.mark.parametrize("name", ["net/data/constants/opaque_obj_0", "net/data/aotinductor/model/a.so"])
def test_members_that_torch_loads_as_code_are_refused(name: str, program: Path, tmp_path: Path) -> None:
    path = changed(program, tmp_path, lambda _, content: content, **{name: pickle.dumps({})})
    with pytest.raises(ModelInvalid, match="could run code"):
        load(str(path))


@pytest.mark.parametrize(
    "text", ["s0 + 1", "Mul(Integer(2), Symbol('s77', positive=True))", "FloorDiv(s0, 2)", "s0 <= 4"]
)
def test_arithmetic_is_recognised(text: str) -> None:
    assert is_arithmetic(text)


@pytest.mark.parametrize(
    "text",
    ["eval('1')", "s0.real", "(lambda: 1)()", "[x for x in s0]", "Symbol('a; b')", "Max('f(1)')", "f'{s0}'", "", None],
)
def test_anything_else_is_not(text: object) -> None:
    assert not is_arithmetic(text)
