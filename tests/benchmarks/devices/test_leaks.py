"""A thousand rounds leave nothing behind, on either side."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from edgedeploy.android_harness.phone import Phone
from edgedeploy.benchmarks.devices import use_device
from edgedeploy.benchmarks.devices.adb import open_adb
from edgedeploy.benchmarks.devices.remote import RemoteDevice


def processes_of(pid: int) -> list[str]:
    """Command lines of all processes below `pid`, zombies among them."""
    listing = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(maxsplit=3) for line in listing.splitlines()]
    below, found = {str(pid)}, []
    for row in rows:  # parents stand before their children, for pids that have not wrapped
        if row[1] in below:
            below.add(row[0])
            found.append(f"{row[2]} {row[3]}")
    return [line for line in found if "ps -e" not in line]


def descriptors(pid: int | str) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def adbd_of(phone: Phone) -> str:
    """Process id of the phone's adbd, as this machine numbers it."""
    listing = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listing.splitlines()]
    parents = {row[0]: row[1] for row in rows}

    def below(pid: str) -> bool:
        return pid in parents and (parents[pid] == str(phone.pid) or below(parents[pid]))

    return next(row[0] for row in rows if row[2].endswith("/system/bin/adbd") and below(row[0]))


@pytest.mark.parametrize("rounds", [6, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_rounds_of_push_run_and_pull_leak_nothing(phone: Phone, tmp_path: Path, rounds: int) -> None:
    device = RemoteDevice(open_adb(phone.address))
    device.remove("")

    def round_trip(number: int) -> None:
        content = f"round {number}".encode()
        (tmp_path / "in").write_bytes(content)
        assert device.push(tmp_path / "in", "in").sent_files == 1
        result = device.run(["sh", "-c", "cat in >out; echo done; exit 3"])
        assert (result.exit_code, result.stdout, result.stderr) == (3, "done\n", "")
        assert device.pull("out", tmp_path / "out").read_bytes() == content

    def counts() -> tuple[object, ...]:
        here = [line for line in processes_of(os.getpid()) if line.startswith("Z") or "adb" in line]
        there = device.ask("ps -A -o NAME | wc -l")[1].strip()
        system = device.ask("ls /dev/shm /tmp /data/local/tmp | wc -l")[1].strip()
        return sorted(here), descriptors("self"), descriptors(adbd_of(phone)), there, system, device.list()

    with use_device(device):
        for number in range(3):
            round_trip(number)
        before = counts()
        for number in range(rounds):
            round_trip(number)
        assert counts() == before
    device.remove("")
