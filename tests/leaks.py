"""Counts what could leak: processes, descriptors and files, on this machine and on the emulated phone."""

from __future__ import annotations

import os
import subprocess

from edgedeploy.android_harness.emulated_phone import EmulatedPhone
from edgedeploy.benchmarks.devices.remote import RemoteDevice


def children() -> list[str]:
    """Command lines of this process's descendants that talk to a device, and of all zombies."""
    listing = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    below, found = {str(os.getpid())}, []
    for line in listing.splitlines():  # parents come before their children, as long as pids have not wrapped
        pid, parent, state, command = line.split(maxsplit=3)
        if parent in below:
            below.add(pid)
            found += [f"zombie: {command}"] if state.startswith("Z") else [command]
    return sorted(line for line in found if any(word in line for word in ("zombie: ", "adb", "runner")))


def descriptors(pid: int | str = "self") -> int:
    """How many files a process of this machine holds open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def on_both_sides(phone: EmulatedPhone, device: RemoteDevice) -> tuple[object, ...]:
    """All counts on this machine and on the phone; equal before and after where nothing leaks."""
    processes = device.ask("ps -A -o NAME | wc -l")[1].strip()
    files = device.ask("ls /dev/shm /tmp /data/local/tmp | wc -l")[1].strip()
    return children(), descriptors(), descriptors(_adbd_of(phone)), processes, files, device.list()


def _adbd_of(phone: EmulatedPhone) -> str:
    """Process id of the phone's adbd, as this machine numbers it."""
    listing = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listing.splitlines()]
    parents = {row[0]: row[1] for row in rows}

    def below(pid: str) -> bool:
        return pid in parents and (parents[pid] == str(phone.pid) or below(parents[pid]))

    return next(row[0] for row in rows if row[2].endswith("/system/bin/adbd") and below(row[0]))
