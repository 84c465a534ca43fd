"""Boards behind ssh; the six verbs themselves run against a real sshd in the other files."""

from __future__ import annotations

import pytest

from edgedeploy.android_harness.emulated_phone.phone import free_port
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.transports.ssh import SshConnection
from edgedeploy.core.errors import NoDevice, UsageError


def test_a_board_keeps_its_files_below_its_home(board: SshConnection) -> None:
    assert RemoteDevice(board).folder.endswith("/.cache/edgedeploy-device")


def test_a_board_describes_itself(board: SshConnection) -> None:
    info = RemoteDevice(board).describe()
    assert (info.api_level, info.serial) == (None, None)
    assert info.system
    assert info.memory_bytes


def test_a_board_that_does_not_know_our_key_asks_nothing_and_says_what_to_do(board: SshConnection) -> None:
    stranger = SshConnection(board.address.removeprefix("ssh:"), ["-F", "/dev/null", "-o", "StrictHostKeyChecking=yes"])
    with pytest.raises(NoDevice, match="does not let us in") as caught:
        RemoteDevice(stranger).run(["true"])
    assert "without a question" in (caught.value.hint or "")


def test_a_board_that_is_off_cannot_be_reached(own_folders: None) -> None:
    with pytest.raises(NoDevice, match="cannot be reached"):
        RemoteDevice(SshConnection(f"127.0.0.1:{free_port()}", ["-F", "/dev/null"])).describe()


@pytest.mark.parametrize("destination", ["", "-oProxyCommand=x", "a b", "user@", "user@-host", "a;b c", "host:port"])
def test_what_is_no_host_is_refused(destination: str) -> None:
    with pytest.raises(UsageError, match="is not user@host"):
        SshConnection(destination)
