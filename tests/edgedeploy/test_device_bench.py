"""bench and verify on a phone: real artifacts, the real runner, the real adbd of an emulated phone."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import edgedeploy
from edgedeploy.android_harness.phone import Phone
from edgedeploy.benchmarks.devices.adb import open_adb
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.shell import quote
from edgedeploy.core.artifact import Artifact
from edgedeploy.core.errors import DeviceBusy, NoDevice, ParityFailed, RunnerFailed
from edgedeploy.core.measurement import Measurement
from edgedeploy.exporters.targets import TARGETS
from edgedeploy.reporter import Silent
from tests.phones import eventually, need

from .exported import all_targets
from .small import convolution

pytestmark = [pytest.mark.timeout(600)]
ROOT = Path(__file__).parent.parent.parent
QUICK = {"num_runs": 5, "warmup_runs": 1, "min_secs": 0.0}


@pytest.fixture(scope="module", autouse=True)
def _compilers() -> None:
    need(["aarch64-linux-gnu-g++", "cmake", "ninja"])


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> list[Artifact]:
    """topformer-tiny-cls at 64x64, one for each runtime."""
    targets = "onnx-fp32,tflite-int8,executorch-fp32"
    folder = tmp_path_factory.mktemp("artifacts")
    return edgedeploy.export("topformer-tiny-cls", targets, input_size=(64, 64), num_calib=8, output=folder)


@pytest.fixture(scope="module")
def phone_device(phone: Phone) -> Iterator[RemoteDevice]:
    """The phone with what earlier tests of this file brought there: emulated, it takes its time to hash a runtime."""
    opened = RemoteDevice(open_adb(phone.address))
    opened.remove("")
    yield opened
    opened.remove("")


@pytest.fixture
def small(tmp_path: Path) -> Artifact:
    return convolution(tmp_path / "small")


def address(device: RemoteDevice | Phone) -> str:
    return device.address if isinstance(device, RemoteDevice) else f"adb:{device.address}"


def left_on(device: RemoteDevice) -> list[str]:
    """What a bench should have removed."""
    return [name for name in device.list() if name.startswith(("work", "run", "tmp", "lock"))]


def test_all_three_runtimes_are_measured_and_proven_on_the_phone(
    phone_device: RemoteDevice, artifacts: list[Artifact], tmp_path: Path
) -> None:
    made = edgedeploy.bench(artifacts, device=address(phone_device), json_file=tmp_path / "r.json", **QUICK)  # type: ignore[arg-type]
    assert [row.target for row in made] == ["onnx-fp32", "tflite-int8", "executorch-fp32"]
    record = json.loads((tmp_path / "r.json").read_text())
    for artifact, row in zip(artifacts, record["measurements"], strict=True):
        assert row["harness"] == "native"
        assert len(row["samples_ns"]) == 5
        assert min(row["samples_ns"]) > 0
        assert row["peak_rss_bytes"] > 2**20
        assert row["load_ns"] > 0
        assert row["first_inference_ns"] > 0
        assert row["device"]["kind"] == "adb"
        assert row["device"]["abi"] == "arm64-v8a"
        assert row["device"]["os"].startswith("Android")
        assert row["state_before"]["host_time_s"] < row["state_after"]["host_time_s"]
        assert row["throttled"] is None  # an emulator has no thermal service, and none is invented
        assert ["fixed performance mode", "not available"] in row["conditions"]
        fp32 = artifact.manifest.target.endswith("fp32")
        floor = 90 if fp32 else 20
        assert row["parity"]["sqnr_db"] > floor
        assert row["host_agreement"]["sqnr_db"] is None or row["host_agreement"]["sqnr_db"] > (90 if fp32 else 30)
    assert left_on(phone_device) == []


def test_a_second_bench_sends_no_file_again(phone_device: RemoteDevice, small: Artifact) -> None:
    edgedeploy.bench([small], device=address(phone_device), **QUICK)  # type: ignore[arg-type]
    before = phone_device.ask(f"cd {quote(phone_device.folder)} && find bundles models -type f | xargs stat -c '%i %n'")
    edgedeploy.bench([small], device=address(phone_device), **QUICK)  # type: ignore[arg-type]
    after = phone_device.ask(f"cd {quote(phone_device.folder)} && find bundles models -type f | xargs stat -c '%i %n'")
    assert before == after  # a file that is sent again is another inode


def test_cores_are_chosen_by_mask(phone_device: RemoteDevice, small: Artifact) -> None:
    (row,) = edgedeploy.bench([small], device=address(phone_device), cores="1", **QUICK)  # type: ignore[arg-type]
    assert row.cpu_mask == 1
    assert ("cores 1", "mask 1") in row.conditions


def test_an_emulators_times_are_kept_out_of_the_table(
    phone_device: RemoteDevice, small: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgedeploy import tables

    rows = edgedeploy.bench([small], device=address(phone_device), **QUICK)  # type: ignore[arg-type]
    tables.measurements(rows)
    shown = capsys.readouterr().out
    assert rows[0].device.emulated
    assert rows[0].latency_ns is not None
    assert f"{rows[0].latency_ns.median / 1e6:.2f}" not in shown
    assert "its times mean nothing" in shown


def test_a_board_over_ssh_is_measured_by_the_same_loop(board, small: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgedeploy.benchmarks import on_device

    opened = RemoteDevice(board)
    monkeypatch.setattr(on_device, "open_device", lambda text: opened)
    try:
        (row,) = edgedeploy.bench([small], device="ssh:board", **QUICK)  # type: ignore[arg-type]
        assert (row.device.kind, row.harness, len(row.samples_ns)) == ("ssh", "native", 5)
        assert row.host_agreement is not None
        assert math.isinf(row.host_agreement.sqnr_db)  # the same machine
    finally:
        opened.remove("")


# --- proof -----------------------------------------------------------------------------------------------------------


def test_verify_on_the_phone_is_the_proof_of_the_very_file(phone_device: RemoteDevice, small: Artifact) -> None:
    (parity,) = edgedeploy.verify(small.folder, device=address(phone_device))
    assert parity.relative_error < 1e-5
    assert left_on(phone_device) == []


def test_verify_on_the_phone_fails_below_the_floor(phone_device: RemoteDevice, tmp_path: Path) -> None:
    wrong = convolution(tmp_path / "wrong", golden_factor=1.01)
    with pytest.raises(ParityFailed, match="does not compute what the network computes") as caught:
        edgedeploy.verify(wrong.folder, device=address(phone_device))
    assert caught.value.exit_code == 1


# --- faults ----------------------------------------------------------------------------------------------------------


class Acts(Silent):
    """Does something when a stage with these words begins."""

    def __init__(self, words: str, act: Callable[[], None], seconds: float) -> None:
        self.words, self.act, self.seconds, self.notes = words, act, seconds, list[str]()

    def stage(self, text: str):
        if self.words in text and self.act is not None:
            act, self.act = self.act, lambda: None
            threading.Timer(self.seconds, act).start()
        return super().stage(text)

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_phone_that_dies_while_running_and_comes_back_is_resumed_and_nothing_counted_twice(
    make_phone: Callable[..., Phone], tmp_path: Path
) -> None:
    phone = make_phone(data=tmp_path / "data")
    rows = [convolution(tmp_path / name, name=name) for name in ("one", "two", "three")]

    over = threading.Event()

    def dies() -> None:
        phone.stop()
        time.sleep(1)
        make_phone(port=phone.port, data=tmp_path / "data")
        over.wait(300)  # the phone ends with the thread that started it

    acts = Acts("measure two", dies, 2.0)
    made = edgedeploy.bench(
        rows, device=address(phone), num_runs=20, warmup_runs=0, min_secs=4.0, reporter=acts, json_file=tmp_path / "j"
    )
    left = left_on(RemoteDevice(open_adb(phone.address)))
    over.set()
    assert left == []
    assert [(row.model, row.interruptions) for row in made] == [("one", 0), ("two", 1), ("three", 0)]
    record = json.loads((tmp_path / "j").read_text())["measurements"]
    assert [row["model"] for row in record] == ["one", "two", "three"]
    # one whole run of at least 4 s each: had the lost one been counted too, there would be more than its time
    assert all(sum(row.samples_ns) < 5.5e9 for row in made)
    assert any("waiting for it" in note for note in acts.notes)


def test_a_phone_that_does_not_come_back_ends_the_bench_and_keeps_what_was_measured(
    make_phone: Callable[..., Phone], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgedeploy.benchmarks import on_device

    monkeypatch.setattr(on_device, "RETURN_SECONDS", 2.0)
    phone = make_phone()
    rows = [convolution(tmp_path / name, name=name) for name in ("one", "two")]
    acts = Acts("measure two", phone.stop, 1.0)
    with pytest.raises(NoDevice):
        edgedeploy.bench(
            rows, device=address(phone), num_runs=5, min_secs=3.0, reporter=acts, json_file=tmp_path / "r.json"
        )
    record = json.loads((tmp_path / "r.json").read_text())
    assert [row["model"] for row in record["measurements"]] == ["one"]


def test_a_runner_that_prints_garbage_fails_its_row_and_no_other(
    phone_device: RemoteDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [convolution(tmp_path / name, name=name) for name in ("one", "two", "three")]
    run, count = RemoteDevice.run, []

    def second_is_garbage(self, command, **options):
        count.append(command)
        if len(count) == 2:
            command = ["sh", "-c", "echo Segmentation fault; exit 0"]
        return run(self, command, **options)

    monkeypatch.setattr(RemoteDevice, "run", second_is_garbage)
    made: list[Measurement] = []
    with pytest.raises(RunnerFailed, match="not everything was measured") as caught:
        edgedeploy.bench(rows, device=address(phone_device), into=made, **QUICK)  # type: ignore[arg-type]
    assert [row.model for row in made] == ["one", "three"]
    assert "printed something that is no answer" in str(caught.value)
    assert left_on(phone_device) == []


def test_a_runner_that_is_killed_is_told(
    phone_device: RemoteDevice, small: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RemoteDevice.run
    monkeypatch.setattr(
        RemoteDevice, "run", lambda self, command, **options: run(self, ["sh", "-c", "kill -9 $$"], **options)
    )
    with pytest.raises(RunnerFailed) as caught:
        edgedeploy.bench([small], device=address(phone_device), **QUICK)  # type: ignore[arg-type]
    assert "exit code 137 and no word" in str(caught.value)


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
        "bench", "--device", address(phone_device), "--num-runs", "5", "--min-secs", "3", "--json", "r.json",
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


def test_a_phone_in_use_is_not_measured_on(phone_device: RemoteDevice, small: Artifact) -> None:
    from edgedeploy.benchmarks.devices import use_device

    with use_device(phone_device), pytest.raises(DeviceBusy):
        edgedeploy.bench([small], device=address(phone_device), **QUICK)  # type: ignore[arg-type]


# --- commands --------------------------------------------------------------------------------------------------------


def test_clean_removes_all_that_lies_on_the_phone(phone_device: RemoteDevice, small: Artifact, tmp_path: Path) -> None:
    edgedeploy.bench([small], device=address(phone_device), **QUICK)  # type: ignore[arg-type]
    assert phone_device.list()
    process = command("clean", "--device", address(phone_device), cwd=tmp_path)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "files removed" in stdout
    assert phone_device.list() == ()


def test_devices_lists_the_phone_the_aliases_and_this_machine(phone_device: RemoteDevice, tmp_path: Path) -> None:
    serial = phone_device.address.removeprefix("adb:")
    (tmp_path / "edgedeploy.toml").write_text(f'[devices]\ndesk = "adb:{serial}"\nboard = "ssh:pi@192.0.2.8"\n')
    process = command("devices", "--json", cwd=tmp_path)
    rows = {row["device"]: row for row in json.loads(process.communicate(timeout=60)[0])}
    assert rows[phone_device.address]["aliases"] == ["desk"]
    assert rows[phone_device.address]["state"] == "ready"
    assert rows["ssh:pi@192.0.2.8"]["state"] == "not asked"
    assert {"local", "qemu"} <= rows.keys()


@pytest.mark.slow
def test_every_target_of_topformer_tiny_runs_on_the_phone_as_on_the_host(
    phone_device: RemoteDevice, tmp_path: Path
) -> None:
    artifacts = all_targets(tmp_path)
    made = edgedeploy.bench(
        artifacts.values(), device=address(phone_device), num_runs=2, warmup_runs=0, min_secs=0, max_secs=600
    )
    assert [row.target for row in made] == TARGETS.names()
    for row in made:
        assert row.parity is not None
        assert row.host_agreement is not None
        fp32 = row.target.endswith("fp32")
        assert row.parity.sqnr_db > (80 if fp32 else 20)
        assert row.host_agreement.sqnr_db > (80 if fp32 else 20)
        assert np.isfinite(row.parity.max_abs_error)
