"""A thousand rounds leave no process, file or descriptor, on either side."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy.android_harness.emulated_phone import EmulatedPhone
from edgedeploy.benchmarks.devices import use_device
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.transports.adb import open_adb
from tests.leaks import on_both_sides


@pytest.mark.parametrize("rounds", [6, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_rounds_of_push_run_and_pull_leak_nothing(phone: EmulatedPhone, tmp_path: Path, rounds: int) -> None:
    device = RemoteDevice(open_adb(phone.address))
    device.remove("")

    def round_trip(number: int) -> None:
        content = f"round {number}".encode()
        (tmp_path / "in").write_bytes(content)
        assert device.push(tmp_path / "in", "in").sent_files == 1
        result = device.run(["sh", "-c", "cat in >out; echo done; exit 3"])
        assert (result.exit_code, result.stdout, result.stderr) == (3, "done\n", "")
        assert device.pull("out", tmp_path / "out").read_bytes() == content

    with use_device(device):
        for number in range(3):
            round_trip(number)
        before = on_both_sides(phone, device)
        for number in range(rounds):
            round_trip(number)
        assert on_both_sides(phone, device) == before
    device.remove("")
