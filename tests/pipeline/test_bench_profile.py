"""bench --profile: where the time goes, from a run of its own; an emulator's time is not shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import edgedeploy
from edgedeploy.android_harness import host_runner
from edgedeploy.android_harness.emulated_phone import EmulatedPhone
from edgedeploy.benchmarks.devices import TRANSPORTS
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.executors import host as on_this_machine
from edgedeploy.cli.tables.measurements import render_profiles
from edgedeploy.core.artifact import Artifact
from edgedeploy.core.device import DeviceInfo
from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.measurement import Measurement, OperatorTime, Profile
from tests.android_harness.tiny_models import RUNTIMES
from tests.phones import need
from tests.small_artifacts import convolution, tiny

QUICK = {"num_runs": 6, "launches": 1, "warmup_runs": 1, "min_secs": 0.0, "profile": True}


@pytest.fixture(scope="module", params=RUNTIMES)
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return tiny(request.param, tmp_path_factory.mktemp("tiny") / request.param, tmp_path_factory)


def test_a_profile_is_of_its_own_run_and_stands_beside_the_samples(artifact: Artifact, tmp_path: Path) -> None:
    need(["g++", "cmake", "ninja"])
    (row,) = edgedeploy.bench([artifact], json_file=tmp_path / "r.json", **QUICK)  # type: ignore[arg-type]
    (record,) = json.loads((tmp_path / "r.json").read_text())["measurements"]
    assert len(record["samples_ns"]) == 6
    profile = record["profile"]
    assert (profile["runs"], profile["not_available"]) == (6, "")
    assert [operator["calls"] for operator in profile["operators"] if "Conv" in operator["type"]] == [6]
    keys = {"name", "type", "delegated", "calls", "total_ns"}
    assert all(operator.keys() == keys for operator in profile["operators"])
    table = render_profiles([row])
    assert f"tiny {artifact.manifest.target}, 1 thread: operators, the mean of 6 profiled inferences" in table
    assert "share %" in table


def test_without_the_option_there_is_no_profile(tmp_path: Path) -> None:
    need(["g++", "cmake", "ninja"])
    rows = edgedeploy.bench([convolution(tmp_path / "small")], num_runs=2, launches=1, min_secs=0)
    assert rows[0].profile is None
    assert render_profiles(rows) == ""


def test_on_an_emulated_phone_calls_are_shown_and_no_time(phone: EmulatedPhone, artifact: Artifact) -> None:
    need(["aarch64-linux-gnu-g++", "cmake", "ninja"])
    (row,) = edgedeploy.bench([artifact], device=f"adb:{phone.address}", **QUICK)  # type: ignore[arg-type]
    assert row.profile is not None
    assert [operator.calls for operator in row.profile.operators if "Conv" in operator.type] == [6]
    table = render_profiles([row])
    assert "calls" in table
    assert "share" not in table


def test_a_board_over_ssh_reports_its_profile(board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need(["g++", "cmake", "ninja"])
    opened = RemoteDevice(board)
    monkeypatch.setitem(TRANSPORTS, "ssh", lambda name: board)
    try:
        (row,) = edgedeploy.bench([convolution(tmp_path / "small")], device="ssh:board", **QUICK)  # type: ignore[arg-type]
        assert row.profile is not None
        assert "Conv" in [operator.type for operator in row.profile.operators if operator.calls == 6]
        assert not [name for name in opened.list() if name.startswith(("work", "run", "tmp", "lock"))]
    finally:
        opened.remove("")


def test_the_most_expensive_kinds_come_first_and_the_rest_are_summed() -> None:
    operators = [OperatorTime(f"n{n}", f"kind {n}", 2, 10 * n) for n in range(1, 13)]
    operators.append(OperatorTime("again", "kind 1", 4, 1000))
    row = Measurement(
        "m", "t", "r", "", "", "", 0, DeviceInfo("local", "local"), 2, None, (), (), None, None, None,
        profile=Profile(2, tuple(operators)),
    )  # fmt: skip
    lines = [" ".join(line.split()) for line in render_profiles([row]).splitlines()]
    assert lines[1] == "m t, 2 threads: operators, the mean of 2 profiled inferences"
    assert lines[3:5] == ["kind 1 3 56.7", "kind 12 1 6.7"]
    assert lines[-1] == "2 other types 2 2.8"
    assert len(lines) == 3 + 10 + 1


# --- where there is none ---------------------------------------------------------------------------------------------


def test_pythons_binding_and_the_legacy_runtime_have_none_and_the_reason_is_given(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_compiler(runtime: str, abi: str) -> None:
        raise RunnerFailed("building the runner needs the program 'cmake', which is not installed")

    monkeypatch.setattr(on_this_machine, "build_bundle", no_compiler)
    (python,) = edgedeploy.bench([convolution(tmp_path / "small")], **QUICK)  # type: ignore[arg-type]
    tflite = tiny("litert", tmp_path / "tiny", tmp_path_factory)
    (old,) = edgedeploy.bench([tflite], runtime="tflite-runtime", **QUICK)  # type: ignore[arg-type]
    reasons = [row.profile.not_available for row in (python, old) if row.profile]
    assert reasons == ["the runtime's Python binding has no profile", "tflite-runtime has no profile"]
    assert [len(row.samples_ns) for row in (python, old)] == [6, 6]


def test_a_runner_that_fails_under_its_profile_costs_the_profile_and_not_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need(["g++", "cmake", "ninja"])
    native = host_runner.run_on_host

    def crashes(bundle, model, inputs, request, **options):
        if request.profile:
            raise RunnerFailed("the onnxruntime runner failed at the stage 'profile': signal 11")
        return native(bundle, model, inputs, request, **options)

    monkeypatch.setattr(on_this_machine, "run_on_host", crashes)
    (row,) = edgedeploy.bench([convolution(tmp_path / "small")], **QUICK)  # type: ignore[arg-type]
    assert row.profile is not None
    assert "signal 11" in row.profile.not_available
    assert len(row.samples_ns) == 6
