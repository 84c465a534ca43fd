"""The study with an exporter that is a fake, its networks, and the stand-in that timm is loaded with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edgedeploy.core.child_processes import child_environment
from edgedeploy.core.errors import ExportFailed, UsageError
from edgedeploy.models.rewrites import capture
from edgedeploy.studies.results import RecordFile
from edgedeploy.studies.strangers import networks, stand_in
from edgedeploy.studies.strangers.cells import TARGETS, Fate, Stranger, exporter, fill, strangers
from edgedeploy.studies.strangers.page import is_good, render
from edgedeploy.studies.strangers.worker import _by_target

NET = Stranger("timm:net", "64")
GOOD = Fate("code", 1.0, relative_error=1e-6, sqnr_db=30.0)


class Exporter:
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def __call__(self, stranger: Stranger, targets: Sequence[str]) -> dict[str, Fate]:
        self.asked.append((stranger.name, tuple(targets)))
        return dict.fromkeys(targets, GOOD)


def test_a_cell_is_run_once_for_each_state_of_the_code(tmp_path: Path) -> None:
    results, export = RecordFile(tmp_path / "results.json", Fate), Exporter()
    fill([NET], export, results, "code")
    fill([NET], export, results, "code")
    assert export.asked == [("timm:net at 64", TARGETS)]
    results.add("timm:net at 64/onnx-int8", replace(GOOD, code="older"))
    fill([NET], export, results, "code")
    assert export.asked[1:] == [("timm:net at 64", ("onnx-int8",))]


def test_the_page_has_the_share_the_messages_and_what_is_far_apart() -> None:
    fates = {f"{NET.name}/{target}": GOOD for target in TARGETS}
    fates[f"{NET.name}/tflite-int8"] = replace(GOOD, sqnr_db=10.0, missed=True, note="softmax")
    fates[f"{NET.name}/tflite-fp32"] = replace(GOOD, error="it fell")
    page = render(fates, [NET, Stranger("timm:other")])
    assert "| timm:net at 64 | 1.0e-06 | 1.0e-06 | [1] | 30.0 | 30.0 | 10.0* |" in page
    assert "1. it fell" in page
    assert "5 of 6 cells (83.3%) of 1 networks" in page
    assert "- timm:net at 64 (onnx 30.0, executorch 30.0, tflite 10.0); tflite-int8: softmax" in page
    assert "- timm:net at 64, tflite-int8: softmax" in page
    assert "1 of the study's 2 networks have run." in page
    assert "timm:other" not in page


def test_a_cell_is_good_with_a_small_float_error_or_where_it_must_be_refused() -> None:
    refused = replace(NET, refused=True)
    assert is_good(NET, "onnx-fp32", GOOD)
    assert not is_good(NET, "onnx-fp32", replace(GOOD, relative_error=1e-3))
    assert is_good(NET, "onnx-int8", replace(GOOD, relative_error=0.1))
    assert not is_good(NET, "onnx-int8", replace(GOOD, error="x"))
    assert is_good(refused, "onnx-fp32", replace(GOOD, error="x"))
    assert not is_good(refused, "onnx-fp32", GOOD)


def test_messages_are_told_apart_by_target() -> None:
    error = ExportFailed("2 of 6 targets failed", details=["a-fp32: one", "a-fp32:   more", "b-fp32: two"])
    assert _by_target(error, ["a-fp32", "b-fp32"]) == {"a-fp32": "one | more", "b-fp32": "two"}
    assert "no such" in _by_target(UsageError("no such network"), ["a-fp32"])["a-fp32"]


def test_networks_have_names_of_their_own() -> None:
    names = [network.name for network in strangers()]
    assert len(set(names)) == len(names)
    assert sum(name.startswith("own:") for name in names) >= 10
    assert sum(name.startswith("timm:") for name in names) >= 30


@pytest.mark.parametrize("factory", networks.EXPORTED, ids=lambda factory: factory.__name__)
def test_the_own_networks_can_be_captured(factory: networks.Factory) -> None:
    module, inputs = factory()
    captured = capture(module.eval(), inputs)
    with torch.no_grad():
        expected, actual = module(*inputs), captured(*inputs)
    leaves = torch.utils._pytree.tree_leaves
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(leaves(expected), leaves(actual), strict=True))


def test_a_path_that_depends_on_values_cannot() -> None:
    module, inputs = networks.data_dependent()
    with pytest.raises(Exception, match=r"data-dependent|Could not guard"):
        capture(module.eval(), inputs)


def test_the_stand_in_has_every_module_and_name(tmp_path: Path) -> None:
    (tmp_path / stand_in.NAME).mkdir()
    (tmp_path / stand_in.NAME / "__init__.py").write_text(Path(stand_in.__file__).read_text())
    code = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
from torchvision.transforms import InterpolationMode, functional
from torchvision.ops.misc import FrozenBatchNorm2d
class Mine(FrozenBatchNorm2d): pass
print({{InterpolationMode.NEAREST: 1}}, hasattr(functional, "__path__"))
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, env=child_environment(), check=True
    )
    assert done.stdout.strip() == "{'NEAREST': 1} False"


def test_a_crash_hides_no_other_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        targets = [part for part in command if part in TARGETS]
        answer = {"artifacts": {}, "errors": dict.fromkeys(targets, "refused")}
        crashes = "tflite-fp32" in targets
        return subprocess.CompletedProcess(
            command, -11 * crashes, "" if crashes else json.dumps(answer), "the last line"
        )

    monkeypatch.setattr(subprocess, "run", run)
    fates = exporter(tmp_path, None, "code")(NET, ["onnx-fp32", "tflite-fp32"])
    assert {target: fate.error for target, fate in fates.items()} == {
        "onnx-fp32": "refused", "tflite-fp32": "exit code -11: the last line",
    }  # fmt: skip
