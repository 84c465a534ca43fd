"""bench and verify on a phone: real artifacts, the real runner, the real adbd of an emulated phone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import pytest

import edgedeploy
from edgedeploy.android_harness.emulated_phone import EmulatedPhone
from edgedeploy.benchmarks.devices import TRANSPORTS
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.transports.adb import open_adb
from edgedeploy.cli.tables.measurements import render_measurements
from edgedeploy.core.artifact import Artifact
from edgedeploy.core.measurement import Measurement
from edgedeploy.exporters.targets import TARGETS
from edgedeploy.pipeline.verification import check_threshold
from tests.leaks import on_both_sides
from tests.phones import eventually, need
from tests.reporters import NoteReporter
from tests.scripted_phone import when_a_runner_starts
from tests.small_artifacts import convolution

pytestmark = [pytest.mark.timeout(900)]
ROOT = Path(__file__).parent.parent.parent
QUICK = {"num_runs": 5, "launches": 1, "warmup_runs": 1, "min_secs": 0.0}


@pytest.fixture(scope="module", autouse=True)
def _compilers() -> None:
    need(["aarch64-linux-gnu-g++", "cmake", "ninja"])


@pytest.fixture(scope="module")
def phone_device(phone: EmulatedPhone) -> Iterator[RemoteDevice]:
    """The phone with what earlier tests of this file brought there: emulated, it takes its time to hash a runtime."""
    opened = RemoteDevice(open_adb(phone.address))
    opened.remove("")
    yield opened
    opened.remove("")


def address(device: RemoteDevice | EmulatedPhone) -> str:
    return device.address if isinstance(device, RemoteDevice) else f"adb:{device.address}"


def left_on(device: RemoteDevice) -> list[str]:
    """What a bench should have removed."""
    return [name for name in device.list() if not name.startswith(("bundles/", "models/"))]


def test_an_emulators_times_are_recorded_and_kept_out_of_the_table(phone_device: RemoteDevice, small: Artifact) -> None:
    (row,) = edgedeploy.bench([small], device=address(phone_device), **QUICK)  # type: ignore[arg-type]
    shown = render_measurements([row])
    assert row.device.emulated
    assert row.latency_ns is not None
    assert f"{row.latency_ns.median / 1e6:.2f}" not in shown
    assert "its times mean nothing" in shown


def test_verify_on_the_phone_verifies_the_very_file(phone_device: RemoteDevice, small: Artifact) -> None:
    (parity,) = edgedeploy.verify(small.folder, device=address(phone_device))
    assert parity.relative_error < 1e-5
    assert left_on(phone_device) == []


def test_a_board_over_ssh_is_measured_by_the_same_loop(board, small: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = RemoteDevice(board)
    monkeypatch.setitem(TRANSPORTS, "ssh", lambda name: board)
    try:
        (row,) = edgedeploy.bench([small], device="ssh:board", **QUICK)  # type: ignore[arg-type]
        assert (row.device.kind, row.harness, len(row.samples_ns)) == ("ssh", "native", 5)
        assert row.host_agreement is not None
        assert row.host_agreement.sqnr_db is None  # the same machine: equal
    finally:
        opened.remove("")


# --- faults ----------------------------------------------------------------------------------------------------------


def test_a_phone_that_dies_while_running_and_comes_back_is_resumed_and_nothing_counted_twice(
    make_phone: Callable[..., EmulatedPhone], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = make_phone(data=tmp_path / "data")
    rows = [convolution(tmp_path / name, name=name) for name in ("one", "two")]
    over = threading.Event()

    def dies() -> None:
        time.sleep(1.5)  # into the two seconds of the run
        phone.stop()
        make_phone(port=phone.port, data=tmp_path / "data")
        over.wait(300)  # the phone ends with the thread that started it

    when_a_runner_starts(monkeypatch, lambda start: threading.Thread(target=dies).start() if start == 2 else None)
    reporter = NoteReporter()
    made = edgedeploy.bench(
        rows,
        device=address(phone),
        num_runs=20,
        launches=1,
        warmup_runs=0,
        min_secs=2.0,
        reporter=reporter,
        json_file=tmp_path / "j",
    )
    left = left_on(RemoteDevice(open_adb(phone.address)))
    over.set()
    assert left == []
    assert [(row.model, row.interruptions) for row in made] == [("one", 0), ("two", 1)]
    record = json.loads((tmp_path / "j").read_text())["measurements"]
    assert [row["model"] for row in record] == ["one", "two"]
    # one whole run of at least 2 s each: had the lost one been counted too, there would be more than its time
    assert all(sum(row.samples_ns) < 2.5e9 for row in made)
    assert any("waiting for it" in note for note in reporter.notes)


def command(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edgedeploy", *arguments], cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupted_bench_shows_what_it_has_and_leaves_nothing_on_the_phone(
    how: signal.Signals, phone_device: RemoteDevice, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        convolution(tmp_path / "artifacts" / name, name=name)
    process = command(
        "bench", "--device", address(phone_device), "--num-runs", "5", "--launches", "1", "--min-secs", "3",
        "--json", "r.json",
        cwd=tmp_path,
    )  # fmt: skip
    running = "grep -l -a edgedeploy_runner /proc/[0-9]*/cmdline 2>/dev/null | grep -v self"
    assert eventually((tmp_path / "r.json").exists, 120)
    assert eventually(lambda: any(name.startswith("run/") for name in phone_device.list()), 60)
    process.send_signal(how)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + how
    assert "Traceback" not in stderr
    assert "one" in stdout
    assert left_on(phone_device) == []
    assert eventually(lambda: "edgedeploy_runner --runtime" not in phone_device.ask(running)[1])


# --- commands --------------------------------------------------------------------------------------------------------


def test_devices_lists_the_phone_the_aliases_and_this_machine(phone_device: RemoteDevice, tmp_path: Path) -> None:
    serial = phone_device.address.removeprefix("adb:")
    (tmp_path / "edgedeploy.toml").write_text(f'[devices]\ndesk = "adb:{serial}"\nboard = "ssh:pi@192.0.2.8"\n')
    process = command("devices", "--json", cwd=tmp_path)
    rows = {row["device"]: row for row in json.loads(process.communicate(timeout=60)[0])}
    assert rows[phone_device.address]["aliases"] == ["desk"]
    assert rows[phone_device.address]["state"] == "ready"
    assert rows["ssh:pi@192.0.2.8"]["state"] == "not checked"
    assert {"local", "qemu"} <= rows.keys()


# --- the matrix ------------------------------------------------------------------------------------------------------

IN_THREE_RUNTIMES = ("onnx-fp32", "onnx-int8", "executorch-fp32", "executorch-int8", "tflite-fp32", "tflite-int8")


def run_on(device: RemoteDevice, artifacts: Sequence[Artifact], file: Path, num_runs: int) -> list[Measurement]:
    """Measures on the phone; every row must be complete, and as near to the network and the host as its target demands."""
    made = edgedeploy.bench(
        artifacts,
        device=address(device),
        num_runs=num_runs,
        launches=1,
        warmup_runs=0,
        min_secs=0,
        max_secs=600,
        json_file=file,
    )
    records = json.loads(file.read_text())["measurements"]
    assert records == [json.loads(row.to_json()) for row in made]
    for artifact, row, record in zip(artifacts, made, records, strict=True):
        assert_whole(record, num_runs)
        for parity in (row.parity, row.host_agreement):
            assert parity is not None
            check_threshold(f"{artifact} on the phone", TARGETS[row.target].threshold, [parity])
    assert left_on(device) == []
    return made


def assert_whole(record: dict, num_runs: int) -> None:
    """Everything that such a phone reports is there; what an emulator does not have is null and not invented."""
    assert record.keys() == {field.name for field in fields(Measurement)}
    null = {key for key, value in record.items() if value is None}
    assert null <= {
        "cpu_mask", "instructions", "profile", "instruction_profile", "sustained", "throttled_samples", "slowed_samples"
    }  # fmt: skip
    assert "throttled_samples" in null
    assert len(record["samples_ns"]) == record["latency_ns"]["count"] == num_runs
    assert record["latency_ns"]["min"] == min(record["samples_ns"]) > 0
    assert min(record["load_ns"], record["first_inference_ns"]) > 0
    assert record["peak_rss_bytes"] > 2**20
    assert (record["harness"], record["threads"], record["interruptions"]) == ("native", 1, 0)
    device = record["device"]
    assert (device["kind"], device["abis"][0], device["emulated"]) == ("adb", "arm64-v8a", True)
    assert device["os"].startswith("Android")
    assert record["state_before"]["host_time_s"] < record["state_after"]["host_time_s"]
    assert record["condition_log"] == [{"name": "fixed performance mode", "outcome": "not available"}]
    assert all(record[key] for key in ("runtime_version", "artifact_sha256", "size_bytes", "started_at", "notes"))


def test_topformer_in_three_runtimes_float_and_int8_runs_on_the_phone_as_on_the_host(
    phone_device: RemoteDevice, topformer: dict[str, Artifact], tmp_path: Path
) -> None:
    artifacts = [topformer[name] for name in IN_THREE_RUNTIMES]
    made = run_on(phone_device, artifacts, tmp_path / "r.json", num_runs=1)
    assert [row.target for row in made] == list(IN_THREE_RUNTIMES)


@pytest.mark.slow
def test_every_target_of_topformer_tiny_runs_on_the_phone_as_on_the_host(
    phone_device: RemoteDevice, topformer: dict[str, Artifact], tmp_path: Path
) -> None:
    made = run_on(phone_device, list(topformer.values()), tmp_path / "r.json", num_runs=2)
    assert [row.target for row in made] == TARGETS.names()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifty_rounds_of_bench_leak_nothing_on_either_side(
    phone: EmulatedPhone, phone_device: RemoteDevice, small: Artifact
) -> None:
    def round_trip() -> None:
        (row,) = edgedeploy.bench([small], device=address(phone_device), **QUICK)  # type: ignore[arg-type]
        assert len(row.samples_ns) == 5

    for _ in range(2):
        round_trip()
    before = on_both_sides(phone, phone_device)
    for _ in range(50):
        round_trip()
    assert on_both_sides(phone, phone_device) == before


# --- and all of it gone ----------------------------------------------------------------------------------------------


def test_clean_removes_all_that_lies_on_the_phone(phone_device: RemoteDevice, small: Artifact, tmp_path: Path) -> None:
    phone_device.push(small.path, "models/x/model.onnx")
    process = command("clean", "--device", address(phone_device), cwd=tmp_path)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "files removed" in stdout
    assert phone_device.list() == ()
