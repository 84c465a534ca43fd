"""One user at a time; the error for the second names the first; the lock of a holder that has died is taken over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from edgedeploy.android_harness.emulated_phone import EmulatedPhone
from edgedeploy.benchmarks.devices import Holder, use_device
from edgedeploy.benchmarks.devices.lock import DeviceLock, holder_file_of
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.transports.adb import open_adb
from edgedeploy.core.errors import DeviceBusy, NoDevice
from tests.phones import eventually

ANNA = Holder("anna", "desk", 4711, "2024-05-01T10:00:00+02:00")
BEN = Holder("ben", "lab", 42, "2024-05-01T11:00:00+02:00")


def test_the_lock_file_exists_during_the_block_only(device: RemoteDevice) -> None:
    with use_device(device) as lock:
        assert device.list() == ("lock",)
        assert lock.held()
        assert lock.took_over is None
        assert device.run(["true"]).exit_code == 0
    assert eventually(lambda: device.list() == ())


def test_the_error_for_a_second_user_on_this_machine_names_the_first(device: RemoteDevice) -> None:
    with use_device(device), pytest.raises(DeviceBusy, match="is in use") as caught, use_device(device):
        pass
    assert f"process {os.getpid()}, since " in caught.value.details[0]


def test_the_error_for_a_second_machine_names_the_first(device: RemoteDevice) -> None:
    first, second = DeviceLock(device, ANNA), DeviceLock(device, BEN)
    first.take()
    with pytest.raises(DeviceBusy) as caught:
        second.take()
    assert caught.value.details == ("by anna@desk, process 4711, since 2024-05-01T10:00:00+02:00",)
    first.release()
    second.take()
    second.release()


def test_a_stale_lock_on_the_device_is_taken_over_and_its_holder_known(device: RemoteDevice) -> None:
    device.run(["true"])
    holder = '{"user": "anna", "host": "desk", "pid": 4711, "since": "2024-05-01T10:00:00+02:00"}'
    device.ask(f"echo '999999 deadbeef {holder}' >{device.folder}/lock")
    with use_device(device) as lock:
        assert lock.took_over == ANNA
    assert eventually(lambda: device.list() == ())


def test_a_lock_whose_pid_now_belongs_to_another_process_is_stale(phone_device: RemoteDevice) -> None:
    phone_device.run(["true"])
    phone_device.ask(f"echo '1 deadbeef {{}}' >{phone_device.folder}/lock")  # process 1 lives, and never held it
    with use_device(phone_device) as lock:
        assert lock.held()


def test_an_empty_lock_file_is_taken_over(phone_device: RemoteDevice) -> None:
    phone_device.run(["true"])
    phone_device.ask(f": >{phone_device.folder}/lock")
    with use_device(phone_device) as lock:
        assert lock.held()


HOLD = """
    import sys, time
    from edgedeploy.benchmarks.devices import use_device
    from edgedeploy.benchmarks.devices.remote import RemoteDevice
    from edgedeploy.benchmarks.devices.transports.adb import open_adb
    device = RemoteDevice(open_adb(sys.argv[1]))
    with use_device(device):
        print("held", flush=True)
        device.run(["sleep", "98781"])
"""


def test_the_lock_of_a_holder_that_is_killed_is_free(phone_device: RemoteDevice) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLD), phone_device.address.removeprefix("adb:")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DeviceBusy) as caught, use_device(phone_device):
            pass
        assert f"process {holder.pid}," in caught.value.details[0]
        holder.send_signal(signal.SIGKILL)
        holder.wait()

    def free() -> bool:
        try:
            with use_device(phone_device):
                return True
        except DeviceBusy:
            return False

    assert eventually(free)
    assert not holder_file_of(phone_device.address).exists()


def test_what_an_earlier_user_left_is_ended_and_removed(phone_device: RemoteDevice, tmp_path: Path) -> None:
    folder = phone_device.folder
    phone_device.ask(
        f"mkdir -p {folder}/run {folder}/tmp; echo half >{folder}/tmp/half\n"
        "export EDGEDEPLOY_RUN=cafe; setsid sleep 98782 </dev/null >/dev/null 2>&1 &\n"
        f"echo $! >{folder}/run/cafe.pid; echo 1 >{folder}/run/beef.pid"
    )
    with use_device(phone_device):
        assert phone_device.list() == ("lock",)
        _, left = phone_device.ask("ps -A -o ARGS | grep -c '[s]leep 98782'")
        assert left.strip() == "0"


def test_after_the_device_was_away_the_lock_is_renewed(make_phone: Callable[..., EmulatedPhone]) -> None:
    phone = make_phone()
    device = RemoteDevice(open_adb(phone.address))
    with use_device(device) as lock:
        phone.stop()
        assert eventually(lambda: not lock.held())
        with pytest.raises(NoDevice):
            device.wait_until_back(0)
        make_phone(port=phone.port)
        device.wait_until_back(10)
        lock.renew()
        assert lock.held()
        assert device.list() == ("lock",)
