"""Boards over ssh; the Device methods themselves run against a real sshd in the other files."""

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
    assert info.os
    assert info.memory_bytes


def test_a_board_that_does_not_know_the_key_is_an_error_without_a_prompt(board: SshConnection) -> None:
    stranger = SshConnection(board.address.removeprefix("ssh:"), ["-F", "/dev/null", "-o", "StrictHostKeyChecking=yes"])
    with pytest.raises(NoDevice, match="refused the login") as caught:
        RemoteDevice(stranger).run(["true"])
    assert "without a password prompt" in (caught.value.hint or "")


def test_a_board_that_is_off_cannot_be_reached(own_folders: None) -> None:
    with pytest.raises(NoDevice, match="cannot be reached"):
        RemoteDevice(SshConnection(f"127.0.0.1:{free_port()}", ["-F", "/dev/null"])).describe()


@pytest.mark.parametrize("destination", ["", "-oProxyCommand=x", "a b", "user@", "user@-host", "a;b c", "host:port"])
def test_an_invalid_host_is_refused(destination: str) -> None:
    with pytest.raises(UsageError, match="is not user@host"):
        SshConnection(destination)
