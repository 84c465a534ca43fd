"""Networks that change their inputs, end the program, or give what can be compared with nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgedeploy import export
from edgedeploy.core.errors import ModelInvalid, UsageError

NET = """
import os, sys, torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
    def forward(self, x):
        {line}

def make():
    return Net(), torch.randn(1, 3, 8, 8)
"""


def exported(line: str, folder: Path):
    (folder / "net.py").write_text(NET.format(line=line))
    return export(f"{folder / 'net.py'}:make", "onnx-fp32", output=folder / "out")


def test_a_network_that_changes_its_input_in_place_is_exported_right(tmp_path: Path) -> None:
    (artifact,) = exported("x.mul_(2); x += 1; return self.conv(x)", tmp_path)
    assert artifact.manifest.parity[0].relative_error < 1e-4
    golden = artifact.golden()
    assert golden is not None
    assert golden.inputs[0][0].std() < 3
    assert len(artifact.manifest.outputs) == 1


def test_a_network_that_changes_the_current_folder_does_not_move_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net.py").write_text(NET.format(line="os.chdir('/'); return self.conv(x)"))
    monkeypatch.chdir(tmp_path)
    export("net.py:make", "onnx-fp32", output="out")
    assert (tmp_path / "out").is_dir()


def test_an_error_that_cannot_be_printed_is_told_by_its_type(tmp_path: Path) -> None:
    line = "E = type('Odd', (Exception,), {'__str__': lambda self: 1 / 0}); raise E()"
    with pytest.raises(ModelInvalid, match="Odd"):
        exported(line, tmp_path)


def test_a_module_in_place_of_its_name_is_refused_with_the_way_out() -> None:
    with pytest.raises(UsageError, match=r"this is a Conv2d(.|\n)*FACTORY"):
        export(torch.nn.Conv2d(3, 4, 3), "onnx-fp32")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sys.exit(0)", "sys.exit"),
        ("os._exit(0)", "sys.exit"),
        ("return self.conv(x) / 0 * 0", "not finite"),
        ("return self.conv(x)[:0]", "is empty"),
        ("return self.conv(x) + torch.rand(1)", "changes from one run to the next"),
        ("self.count = getattr(self, 'count', 0) + 1; return self.conv(x) + self.count", "changes from one run"),
    ],
)
def test_what_cannot_be_verified_is_refused(line: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid) as caught:
        exported(line, tmp_path)
    assert words in str(caught.value)


def test_a_rewrite_that_gives_nan_is_never_equal() -> None:
    from edgedeploy.core.provenance import Exactness
    from edgedeploy.models.rewrites.rewrite import Difference, _relative_error

    bound = Exactness("exact", 1.0, 1.0)
    nan = _relative_error(torch.ones(2), torch.tensor([1.0, torch.nan]))
    assert not Difference(nan, 0.0, []).within(bound, float("inf"))
    assert not Difference(float("nan"), 0.0, []).within(bound, 1.0)
