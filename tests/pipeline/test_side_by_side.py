"""Exports whose targets are made side by side: the same artifacts and errors, and nothing left when they are stopped."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import edgedeploy
from edgedeploy.core import errors
from edgedeploy.core.artifact import Artifact
from edgedeploy.core.errors import EdgedeployError, ExportFailed, UnknownName, UsageError
from edgedeploy.core.recipes import STATIC_INT8
from edgedeploy.pipeline.export.side_by_side import resources
from edgedeploy.pipeline.export.side_by_side.messages import Failed
from tests.phones import eventually

TARGETS = ["onnx-int8", "onnx-fp32"]
INPUT = "1x3x32x32"
NETWORK = """
import os, signal, torch
from torch import nn

def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1))

def dies():
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def network(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(NETWORK, encoding="utf-8")
    return f"{tmp_path}/net.py"


def export(
    model: str, output: Path, *, jobs: int, targets: list[str] = TARGETS, exclude: Sequence[str] = ()
) -> list[Artifact]:
    return edgedeploy.export(model, targets, inputs=[INPUT], output=output, num_calib=4, jobs=jobs, exclude=exclude)


def test_side_by_side_makes_the_same_files_in_the_order_that_was_asked_for(network: str, tmp_path: Path) -> None:
    alone = export(f"{network}:make", tmp_path / "alone", jobs=1)
    beside = export(f"{network}:make", tmp_path / "beside", jobs=2)
    assert [made.manifest.target for made in beside] == TARGETS
    assert [made.manifest.sha256 for made in beside] == [made.manifest.sha256 for made in alone]
    for here, there in zip(beside, alone, strict=True):  # sums in numpy depend on the number of its threads
        figures = [dataclasses.astuple(made.manifest.parity[0]) for made in (here, there)]
        assert figures[0] == pytest.approx(figures[1], rel=1e-9)


def test_a_recipe_is_followed_side_by_side_too(network: str, tmp_path: Path) -> None:
    targets = ["onnx-int8", "tflite-int8"]
    alone, beside = (
        export(f"{network}:make", tmp_path / str(jobs), jobs=jobs, targets=targets, exclude=["3"])[0].manifest
        for jobs in (1, 2)
    )
    assert alone.provenance.recipe == beside.provenance.recipe != STATIC_INT8
    assert alone.sha256 == beside.sha256


def test_a_target_that_fails_hides_no_other(network: str, tmp_path: Path) -> None:
    foreign = tmp_path / "out/net-make/onnx-fp32/model.onnx"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine", encoding="utf-8")
    with pytest.raises(ExportFailed, match="1 of 2 targets failed") as failure:
        export(f"{network}:make", tmp_path / "out", jobs=2)
    assert [made.manifest.target for made in failure.value.completed] == ["onnx-int8"]
    assert "not overwritten" in str(failure.value)
    assert foreign.read_text(encoding="utf-8") == "mine"


def test_an_error_of_what_all_targets_share_is_the_same_as_alone(network: str, tmp_path: Path) -> None:
    messages = []
    for jobs in (1, 2):
        with pytest.raises(UsageError) as failure:
            export(f"{network}:mke", tmp_path / "out", jobs=jobs)
        messages.append((type(failure.value), str(failure.value)))
    assert messages[0] == messages[1]


def test_a_process_that_is_killed_is_reported_with_its_signal(network: str, tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match="was killed by SIGKILL"):
        export(f"{network}:dies", tmp_path / "out", jobs=2)


SLOW_SIGNALS = [pytest.param(name, marks=pytest.mark.slow) for name in ("SIGINT", "SIGHUP", "SIGKILL")]


@pytest.mark.parametrize("name", ["SIGTERM", *SLOW_SIGNALS])
def test_a_stopped_export_ends_all_its_processes_and_leaves_nothing(name: str, network: str, tmp_path: Path) -> None:
    temporary, output = tmp_path / "tmp", tmp_path / "out"
    temporary.mkdir()
    command = [
        sys.executable,
        "-m",
        "edgedeploy",
        "export",
        f"{network}:make",
        "--target",
        ",".join(TARGETS),
        "--jobs",
        "2",
    ]
    command += ["--input", INPUT, "--output", str(output), "--num-calib", "4"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(temporary)})
    assert eventually(lambda: any(output.glob("*/.*.tmp")), 120)
    process.send_signal(signal.Signals[name])
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == (-9 if name == "SIGKILL" else 128 + signal.Signals[name])
    assert "Traceback" not in stderr
    assert eventually(lambda: _processes_with(str(temporary)) == [])
    if name == "SIGKILL":  # nothing can be done then; the next export does it
        subprocess.run(command, check=True, env=os.environ | {"TMPDIR": str(temporary)}, capture_output=True)
        assert sorted(path.name for path in (output / "net-make").iterdir()) == sorted(TARGETS)
    else:
        assert list(output.glob("*")) == []
    assert list(temporary.glob("edgedeploy-*")) == []


def _processes_with(text: str) -> list[str]:
    """Command lines of the processes whose environment holds a text."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_bytes().decode())
        except OSError:
            continue
    return found


def test_an_error_comes_back_from_a_worker_as_what_it_was() -> None:
    unknown = UnknownName("target", "onx-fp32", ["onnx-fp32"], hint="edgedeploy targets")
    for error in (unknown, UsageError("no", details=["where", "why"], hint="else"), errors.DeviceBusy("held")):
        back = Failed.of("onnx-fp32", error).error()
        assert (type(back), str(back), back.exit_code) == (type(error), str(error), error.exit_code)


def test_an_error_that_a_worker_made_up_comes_back_as_the_kind_that_it_is_one_of() -> None:
    class OfAPlugin(ExportFailed):
        pass

    assert type(Failed.of("", OfAPlugin("no")).error()) is ExportFailed


@pytest.mark.parametrize(("free", "weights", "jobs"), [(100, 0, 3), (2, 0, 2), (0.5, 0, 1), (100, 40, 1), (None, 0, 3)])
def test_cores_and_memory_decide_how_many_targets_are_made_at_a_time(
    free: float | None, weights: float, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "cores", lambda: 3)
    monkeypatch.setattr(resources, "free_memory_bytes", lambda: None if free is None else int(free * 2**30))
    assert resources.jobs_for(6, int(weights * 2**30)) == jobs


def test_the_number_of_jobs_has_bounds(tmp_path: Path) -> None:
    with pytest.raises(EdgedeployError, match="--jobs is from 1"):
        edgedeploy.export("topformer-tiny", TARGETS, output=tmp_path, jobs=0)
