"""bench on a phone with heat, big cores and modes: every row records the conditions, and modes are restored."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgedeploy
from edgedeploy.benchmarks.conditions.session import ThermalWatch
from edgedeploy.benchmarks.conditions.temperature import Clock
from edgedeploy.benchmarks.devices.transports.scripted import ScriptedDevice
from edgedeploy.benchmarks.executors import device as on_device
from edgedeploy.core.artifact import Artifact
from edgedeploy.core.device import ConditionLogEntry
from edgedeploy.core.errors import DeviceLost, DeviceTooHot
from edgedeploy.core.measurement import Measurement
from tests.reporters import NoteReporter
from tests.scripted_phone import ADDRESS, BIG, when_a_runner_starts
from tests.small_artifacts import convolution

ROOT = Path(__file__).parent.parent.parent
QUICK = {"device": ADDRESS, "num_runs": 5, "launches": 1, "warmup_runs": 1, "min_secs": 0.0}
FIXED = "fixed performance mode"


def log_of(record: dict[str, Any]) -> list[tuple[str, str]]:
    """The condition log of a JSON record."""
    return [(entry["name"], entry["outcome"]) for entry in record["condition_log"]]


def modes(pixel: ScriptedDevice) -> list[str]:
    """What fixed-performance mode was set to, in order."""
    return [command.split()[-1] for command in pixel.commands()]


def test_a_row_records_its_cores_its_modes_and_its_heat(pixel: ScriptedDevice, small: Artifact, tmp_path: Path) -> None:
    (row,) = edgedeploy.bench([small], cores="big", max_start_temp=40, json_file=tmp_path / "r.json", **QUICK)  # type: ignore[arg-type]
    (record,) = json.loads((tmp_path / "r.json").read_text())["measurements"]
    assert record == json.loads(row.to_json())
    assert record["cpu_mask"] == BIG
    assert log_of(record) == [
        ("cores big", f"mask {BIG:x}"),
        (FIXED, "done"),
        ("start temperature", "31.2 °C"),
        (FIXED, "restored"),
    ]
    assert modes(pixel) == ["true", "false"]
    device = row.device
    assert (device.kind, device.display_name, device.soc, device.emulated) == (
        "adb",
        "Google Pixel 7",
        "Tensor G2",
        False,
    )
    for state in (record["state_before"], record["state_after"]):
        assert state["thermal_status"] == 0
        assert state["temperatures_c"] == {"BIG": 31.2, "VIRTUAL-SKIN": 26.2}
        assert (state["battery_percent"], state["plugged"], state["screen_on"]) == (87, True, False)
    assert (record["throttled_samples"], record["discarded_ns"]) == ([], [])
    assert (len(record["samples_ns"]), record["harness"]) == (5, "native")
    assert record["host_agreement"]["sqnr_db"] is None  # the same machine: equal


def test_heat_is_recorded_before_during_and_after(
    pixel: ScriptedDevice, small: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_device, "ThermalWatch", functools.partial(ThermalWatch, interval_s=0.1))
    when_a_runner_starts(monkeypatch, lambda start: pixel.heat(status=0, big_c=36.5))
    (row,) = edgedeploy.bench([small], **QUICK | {"min_secs": 0.5})  # type: ignore[arg-type]
    states = [row.state_before, *row.state_during, row.state_after]
    temperatures = [state.temperatures_c["BIG"] for state in states if state and state.temperatures_c]
    assert (temperatures[0], *temperatures[-2:]) == (31.2, 36.5, 36.5)
    times = [state.host_time_s for state in states if state]
    assert times == sorted(times)
    assert len(times) >= 3


def test_samples_under_throttling_are_repeated_once_the_phone_is_cool_again(
    pixel: ScriptedDevice, small: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    when_a_runner_starts(monkeypatch, lambda start: pixel.heat(status=3, big_c=61.0) if start == 1 else None)
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds: pixel.heat(status=0, big_c=38.0))
    reporter = NoteReporter()
    (row,) = edgedeploy.bench([small], max_start_temp=40, reporter=reporter, **QUICK)  # type: ignore[arg-type]
    assert reporter.notes == ["waiting for 40 °C, now 61.0 °C"]
    assert (len(row.samples_ns), len(row.discarded_ns), row.throttled_samples) == (5, 5, ())
    assert row.sample_launches == (1,) * 5
    assert row.sample_launches == (1, 1, 1, 1, 1)
    assert [entry.outcome for entry in row.condition_log if entry.name == "start temperature"] == ["31.2 °C", "38.0 °C"]
    assert "5 samples were taken while the device throttled, and were repeated" in row.notes


def test_a_phone_that_throttles_to_the_end_has_all_its_samples_marked(pixel: ScriptedDevice, small: Artifact) -> None:
    pixel.heat(status=3, big_c=61.0)
    (row,) = edgedeploy.bench([small], **QUICK)  # type: ignore[arg-type]
    assert row.throttled_samples == tuple(range(15))
    assert row.sample_launches == (0,) * 5 + (1,) * 5 + (2,) * 5
    assert row.discarded_ns == ()
    assert "15 of 15 samples were taken while the device throttled" in row.notes


def test_cooldown_pauses_between_rows(pixel: ScriptedDevice, small: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds: slept.append(seconds))
    reporter = NoteReporter()
    edgedeploy.bench([small, small], cooldown=60, reporter=reporter, **QUICK)  # type: ignore[arg-type]
    assert slept == [60.0]
    assert reporter.notes == ["cooling down for 60 s"]


# --- restored, whatever ends the bench -------------------------------------------------------------------------------


def test_a_phone_that_stays_hot_ends_the_bench_and_its_modes_are_restored(
    pixel: ScriptedDevice, small: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    when_a_runner_starts(monkeypatch, lambda start: pixel.heat(status=0, big_c=61.0))
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds: None)
    monkeypatch.setattr(Clock, "now", functools.partial(next, iter(range(0, 10**6, 100))))
    with pytest.raises(DeviceTooHot, match=r"at 61\.0 °C after 300 s of waiting"):
        edgedeploy.bench([small, small], max_start_temp=40, json_file=tmp_path / "r.json", **QUICK)  # type: ignore[arg-type]
    (record,) = json.loads((tmp_path / "r.json").read_text())["measurements"]
    assert log_of(record)[-1] == (FIXED, "restored")
    assert modes(pixel) == ["true", "false"]


def test_a_phone_that_is_gone_at_the_end_is_recorded_as_not_restored(
    pixel: ScriptedDevice, small: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_device, "RETURN_SECONDS", 0.1)
    when_a_runner_starts(monkeypatch, lambda start: pixel.write("unplugged", "") if start == 2 else None)
    made: dict[int, Measurement] = {}
    with pytest.raises(DeviceLost):
        edgedeploy.bench([small, small], on_row=made.__setitem__, json_file=tmp_path / "r.json", **QUICK)  # type: ignore[arg-type]
    (record,) = json.loads((tmp_path / "r.json").read_text())["measurements"]
    assert log_of(record) == [(FIXED, "done"), (FIXED, f"not restored: {ADDRESS} is gone")]
    assert made[0].condition_log[-1].outcome == f"not restored: {ADDRESS} is gone"


def test_a_phone_without_the_mode_has_nothing_to_restore(pixel: ScriptedDevice, small: Artifact) -> None:
    pixel.write("cmd-refuses.txt", "Fixed performance mode is not supported\n")
    (row,) = edgedeploy.bench([small], **QUICK)  # type: ignore[arg-type]
    assert row.condition_log == (ConditionLogEntry(FIXED, "not available"),)


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_shows_cores_and_heat_and_writes_the_same(pixel: ScriptedDevice, tmp_path: Path) -> None:
    for name in ("one", "two"):
        convolution(tmp_path / "artifacts" / name, name=name)
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.scripted_phone", str(pixel.root), "bench", "--device", ADDRESS,
            "--cores", "big", "--max-start-temp", "35", "--cooldown", "0.1", "--profile", "--num-runs", "5",
            "--launches", "1", "--min-secs", "0", "--json", "r.json",
        ],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    title = (
        f"Google Pixel 7, Tensor G2 ({pixel.describe().abis[0]}, Android 14 (API 34)), cores {BIG:x}, 31.2 -> 31.2 °C"
    )
    assert done.stdout.startswith(f"{title}, 5 runs each; milliseconds\n")
    assert "one onnx-fp32, 1 thread: operators" in done.stdout
    assert "share %" in done.stdout
    assert done.stderr.count("cooling down for 0.1 s") == 1
    rows = json.loads((tmp_path / "r.json").read_text())["measurements"]
    assert [row["model"] for row in rows] == ["one", "two"]
    assert all(log_of(row)[-1] == (FIXED, "restored") for row in rows)
    assert modes(pixel) == ["true", "false"]
