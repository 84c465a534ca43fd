"""Fixtures for tests that need a phone, a board or an adb server; conftest.py makes them available to all tests.

The adb server is the tests' own, on a port of its own: the user's server is not used.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgedeploy.android_harness.emulated_phone import EmulatedPhone, EmulatedPhoneOptions, start_emulated_phone
from edgedeploy.android_harness.emulated_phone.build import BUILD_TOOLS
from edgedeploy.android_harness.emulated_phone.phone import START_TOOLS, free_port
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.transports.adb import connect, open_adb
from edgedeploy.benchmarks.devices.transports.local_shell import LocalConnection
from edgedeploy.benchmarks.devices.transports.ssh import SshConnection

__all__ = ["adb_server", "board", "device", "make_phone", "own_folders", "phone", "phone_device"]


def need(programs: list[str]) -> None:
    """A missing program skips the test on a developer's machine and fails it in CI."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        reason = f"not installed: {', '.join(missing)}; android_harness/packages.txt lists the packages"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """State and configuration in folders of the tests; the cache stays the user's, where the built phone is."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("folders")
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        yield


@pytest.fixture(scope="session")
def adb_server(own_folders: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an adb server that runs as long as the tests."""
    need(["adb"])
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        patch.setenv("ANDROID_SDK_HOME", str(tmp_path_factory.mktemp("adb")))  # its key
        patch.setenv("ADB_LOCAL_TRANSPORT_MAX_PORT", "5553")  # no search for emulators
        patch.delenv("ANDROID_SERIAL", raising=False)
        subprocess.run(["adb", "start-server"], check=True, capture_output=True)
        yield port
        subprocess.run(["adb", "kill-server"], check=False, capture_output=True)


@pytest.fixture(scope="session")
def phone(adb_server: int) -> Iterator[EmulatedPhone]:
    """One emulated phone for all tests that do not break it; connected."""
    need([*BUILD_TOOLS, *START_TOOLS])
    started = start_emulated_phone(options=EmulatedPhoneOptions(die_with_parent=True))
    connect(started.address)
    yield started
    started.stop()


@pytest.fixture
def make_phone(adb_server: int) -> Iterator[Callable[..., EmulatedPhone]]:
    """Starts emulated phones that a test may break; they are stopped after it. Takes a port and options."""
    need([*BUILD_TOOLS, *START_TOOLS])
    started: list[EmulatedPhone] = []

    def make(port: int = 0, **options: Any) -> EmulatedPhone:
        new = start_emulated_phone(port, EmulatedPhoneOptions(die_with_parent=True, **options))
        started.append(new)
        connect(new.address)
        return new

    yield make
    for old in started:
        old.stop()
        subprocess.run(["adb", "disconnect", old.address], check=False, capture_output=True)


@pytest.fixture(scope="session")
def board(own_folders: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshConnection]:
    """This machine behind a real sshd on a loopback port, with keys of its own."""
    need(["ssh", "ssh-keygen"])
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if sshd is None:
        need(["sshd"])
    folder = tmp_path_factory.mktemp("sshd")
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    port = free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\nMaxStartups 100\n"
    )
    (folder / "config").write_text(
        f"Host *\n  IdentityFile {folder}/user\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known\n"
        "  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    log = (folder / "log").open("wb")
    server = subprocess.Popen([str(sshd), "-D", "-e", "-f", folder / "sshd_config"], stdout=log, stderr=log)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    else:
        pytest.fail(f"sshd did not start: {(folder / 'log').read_text()}")
    yield SshConnection(f"127.0.0.1:{port}", ["-F", str(folder / "config")])
    server.terminate()
    server.wait()
    log.close()


class BoardInFolder:
    """The board, with its files in a folder of the test instead of the home."""

    def __init__(self, board: SshConnection, folder: Path) -> None:
        self.address, self.system_root = board.address, ""
        self.argv, self.lost, self.reopen = board.argv, board.lost, board.reopen
        self._folder = str(folder)

    def folder(self) -> str:
        return self._folder


@pytest.fixture
def phone_device(phone: EmulatedPhone) -> Iterator[RemoteDevice]:
    """The emulated phone as a device, clean before and after."""
    opened = RemoteDevice(open_adb(phone.address))
    opened.remove("")
    yield opened
    opened.remove("")


@pytest.fixture(params=["adb", "ssh", "local"])
def device(request: pytest.FixtureRequest, own_folders: None, tmp_path: Path) -> RemoteDevice:
    """A device of each kind; what a test requires of one holds for all."""
    if request.param == "adb":
        opened: RemoteDevice = request.getfixturevalue("phone_device")
        return opened
    if request.param == "ssh":
        return RemoteDevice(BoardInFolder(request.getfixturevalue("board"), tmp_path / "board"))
    return RemoteDevice(LocalConnection(tmp_path / "local"))


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether `holds` becomes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return False
