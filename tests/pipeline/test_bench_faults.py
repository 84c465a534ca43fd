"""Faults of a row or of the phone during bench and verify; what is pushed there, and pushed once."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import pytest

import edgedeploy
from edgedeploy.benchmarks.devices import use_device
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.transports.scripted import ScriptedDevice
from edgedeploy.core.artifact import Artifact
from edgedeploy.core.device import ConditionLogEntry
from edgedeploy.core.errors import DeviceBusy, ParityFailed, RunnerFailed
from edgedeploy.core.measurement import Measurement
from tests.leaks import children, descriptors
from tests.scripted_phone import ADDRESS, opened, processes_on, when_a_runner_starts
from tests.small_artifacts import convolution

QUICK = {"device": ADDRESS, "num_runs": 5, "launches": 1, "warmup_runs": 1, "min_secs": 0.0}


def left_on(pixel: ScriptedDevice) -> list[str]:
    """What a bench should have removed."""
    return [name for name in opened(pixel.root).list() if not name.startswith(("bundles/", "models/"))]


def test_a_runner_that_prints_garbage_fails_its_row_and_no_other(
    pixel: ScriptedDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [convolution(tmp_path / name, name=name) for name in ("one", "two", "three")]
    when_a_runner_starts(monkeypatch, lambda start: "echo Segmentation fault; exit 0" if start == 2 else None)
    made: dict[int, Measurement] = {}
    with pytest.raises(RunnerFailed, match="not everything was measured") as caught:
        edgedeploy.bench(rows, on_row=made.__setitem__, **QUICK)  # type: ignore[arg-type]
    assert [row.model for row in made.values()] == ["one", "three"]
    assert "printed a line that is not an event of its protocol" in str(caught.value)
    assert left_on(pixel) == []


def test_a_runner_that_is_killed_is_reported(
    pixel: ScriptedDevice, small: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    when_a_runner_starts(monkeypatch, lambda start: "kill -9 $$")
    with pytest.raises(RunnerFailed) as caught:
        edgedeploy.bench([small], **QUICK)  # type: ignore[arg-type]
    assert "exit code 137 and reported no error" in str(caught.value)
    assert left_on(pixel) == []


def test_a_phone_in_use_is_not_measured_on(pixel: ScriptedDevice, small: Artifact) -> None:
    with use_device(opened(pixel.root)), pytest.raises(DeviceBusy):
        edgedeploy.bench([small], **QUICK)  # type: ignore[arg-type]


def test_cores_are_chosen_by_mask(pixel: ScriptedDevice, small: Artifact) -> None:
    (row,) = edgedeploy.bench([small], cores="1", **QUICK)  # type: ignore[arg-type]
    assert row.cpu_mask == 1
    assert ConditionLogEntry("cores 1", "mask 1") in row.condition_log


def test_verify_on_the_phone_fails_below_the_threshold(pixel: ScriptedDevice, tmp_path: Path) -> None:
    wrong = convolution(tmp_path / "wrong", golden_factor=1.01)
    with pytest.raises(ParityFailed, match="does not compute what the network computes") as caught:
        edgedeploy.verify(wrong.folder, device=ADDRESS)
    assert caught.value.exit_code == 1


def test_a_second_bench_sends_no_file_again(pixel: ScriptedDevice, small: Artifact) -> None:
    def files() -> dict[str, int]:
        """Inodes: a file that is sent again is another one."""
        phone = opened(pixel.root)
        return {name: os.stat(f"{phone.folder}/{name}").st_ino for name in phone.list()}

    edgedeploy.bench([small], **QUICK)  # type: ignore[arg-type]
    before = files()
    edgedeploy.bench([small], **QUICK)  # type: ignore[arg-type]
    assert files() == before
    assert {Path(name).parts[0] for name in before} == {"bundles", "models"}


def test_what_was_pushed_is_checked_once_under_one_lock(
    pixel: ScriptedDevice, small: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    push, pushed = RemoteDevice.push, []

    def counted(self, local, remote, **options):
        pushed.append(remote.split("/")[0])
        return push(self, local, remote, **options)

    monkeypatch.setattr(RemoteDevice, "push", counted)
    edgedeploy.bench([small, small], profile=True, **QUICK)  # type: ignore[arg-type]
    assert [pushed.count(kind) for kind in ("bundles", "models", "work")] == [1, 1, 4]


def test_rounds_of_bench_leak_nothing(
    pixel: ScriptedDevice, small: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()

    def counts() -> tuple[object, ...]:
        return children(), descriptors(), processes_on(pixel), left_on(pixel), list((tmp_path / "temporary").iterdir())

    edgedeploy.bench([small], profile=True, **QUICK)  # type: ignore[arg-type]
    before = counts()
    for _ in range(5):
        edgedeploy.bench([small], profile=True, **QUICK)  # type: ignore[arg-type]
        with contextlib.suppress(RunnerFailed), monkeypatch.context() as patch:
            when_a_runner_starts(patch, lambda start: "exit 3")
            edgedeploy.bench([small], **QUICK)  # type: ignore[arg-type]
    assert counts() == before
    assert before[1:] == (before[1], [], [], [])
