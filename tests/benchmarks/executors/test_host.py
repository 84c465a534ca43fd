"""This machine: the native runner, and the runtimes' Python bindings where it cannot be built."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgedeploy
from edgedeploy.benchmarks.executors import host
from edgedeploy.core.errors import RunnerFailed
from tests.phones import need
from tests.small_artifacts import convolution


def test_this_machine_is_measured_by_the_native_runner(tmp_path: Path) -> None:
    need(["g++", "cmake", "ninja"])
    small = convolution(tmp_path / "small")
    (row,) = edgedeploy.bench([small], num_runs=7, launches=1, min_secs=0, cores="1")
    assert (row.harness, row.cpu_mask, len(row.samples_ns)) == ("native", 1, 7)
    assert row.sample_launches == (0,) * 7
    assert row.state_before is not None
    assert row.parity is not None
    assert row.parity.relative_error < 1e-5
    assert row.host_agreement is None  # it is the host


def test_without_a_compiler_pythons_binding_measures_and_the_row_has_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_compiler(runtime: str, abi: str) -> None:
        raise RunnerFailed("building the runner needs the program 'cmake', which is not installed")

    monkeypatch.setattr(host, "build_bundle", no_compiler)
    (row,) = edgedeploy.bench([convolution(tmp_path / "small")], num_runs=7, launches=1, min_secs=0)
    assert (row.harness, len(row.samples_ns), row.sample_launches) == ("python", 7, (0,) * 7)
    assert "Python binding: building the runner needs the program 'cmake'" in row.notes[0]
