"""This machine and an emulated CPU as places: the native loop, its fall-back, and counts without any time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import edgedeploy
from edgedeploy.benchmarks.executors import host as on_this_machine
from edgedeploy.cli import tables
from edgedeploy.core.errors import RunnerFailed, UnknownName, UsageError
from tests.phones import need
from tests.small_artifacts import MACS, convolution


def test_this_machine_is_measured_by_the_native_runner(tmp_path: Path) -> None:
    need(["g++", "cmake", "ninja"])
    small = convolution(tmp_path / "small")
    (row,) = edgedeploy.bench([small], num_runs=7, min_secs=0, cores="1")
    assert (row.harness, row.cpu_mask, len(row.samples_ns)) == ("native", 1, 7)
    assert row.parity is not None
    assert row.parity.relative_error < 1e-5
    assert row.host_agreement is None  # it is the host


def test_without_a_compiler_pythons_binding_measures_and_the_row_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_compiler(runtime: str, abi: str) -> None:
        raise RunnerFailed("building the runner needs the program 'cmake', which is not installed")

    monkeypatch.setattr(on_this_machine, "build_bundle", no_compiler)
    (row,) = edgedeploy.bench([convolution(tmp_path / "small")], num_runs=7, min_secs=0)
    assert (row.harness, len(row.samples_ns)) == ("python", 7)
    assert "Python binding: building the runner needs the program 'cmake'" in row.notes[0]


def test_an_emulated_cpu_gives_counts_and_no_time_anywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need(["aarch64-linux-gnu-g++", "qemu-aarch64", "unshare"])
    small = convolution(tmp_path / "small")
    rows = edgedeploy.bench([small], device="qemu", threads=[1, 2], json_file=tmp_path / "r.json")
    (again,) = edgedeploy.bench([small], device="qemu")
    (record,) = json.loads((tmp_path / "r.json").read_text())["measurements"]
    assert record["latency_ns"] is record["load_ns"] is record["first_inference_ns"] is None
    assert record["samples_ns"] == []
    assert record["device"]["emulated"]
    count = record["instructions"]
    assert (count["cpu"], count["bound"]) == ("cortex-a76", MACS / 4)
    assert count["ratio"] == pytest.approx(count["total"] / count["bound"])
    assert sum(count["by_class"].values()) == count["total"] > count["bound"]
    assert again.instructions is not None
    assert again.instructions.total == pytest.approx(count["total"], rel=1e-4)
    assert record["parity"]["relative_error"] < 1e-5
    assert record["host_agreement"]["relative_error"] < 1e-5
    tables.measurements(rows)
    shown = capsys.readouterr().out
    assert "instr M" in shown
    assert "× bound" in shown
    assert "millisecond" not in shown


def test_an_emulated_cpu_that_is_not_known_or_was_asked_for_cores_is_told(tmp_path: Path) -> None:
    small = convolution(tmp_path / "small")
    with pytest.raises(UnknownName, match="Did you mean 'cortex-a53'"):
        edgedeploy.bench([small], device="qemu:cortex-a35")
    with pytest.raises(UsageError, match="no cores to choose"):
        edgedeploy.bench([small], device="qemu", cores="big")
