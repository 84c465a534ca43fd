"""What goes wrong with a phone: each fault has an error of its own, and leaves nothing partly done."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgedeploy.android_harness.emulated_phone import EmulatedPhone
from edgedeploy.android_harness.emulated_phone.phone import free_port
from edgedeploy.benchmarks.devices import list_devices, open_device, require_abi
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.transports.adb import AdbConnection, list_adb, open_adb
from edgedeploy.core.errors import DeviceError, DeviceFull, DeviceLost, NoDevice

from .adb_server import scripted_adb_server


class ReadOnlyFolder(AdbConnection):
    """A phone whose folder cannot be written."""

    def folder(self) -> str:
        return "/system/edgedeploy"


def opened(phone: EmulatedPhone) -> RemoteDevice:
    return RemoteDevice(open_adb(phone.address))


def test_a_push_that_lost_its_phone_continues_with_the_files_that_are_missing(
    make_phone: Callable[..., EmulatedPhone], tmp_path: Path
) -> None:
    phone = make_phone(data=tmp_path / "data")
    device = opened(phone)
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for name in ("a.bin", "b.bin", "c.bin"):
        (bundle / name).write_bytes(os.urandom(2_000_000))

    def unplug(done: int, total: int) -> None:
        if done > 2_500_000 and phone.running():
            phone.stop()

    with pytest.raises(DeviceLost, match="gone"):
        device.push(bundle, "bundle", progress=unplug)

    again = make_phone(port=phone.port, data=tmp_path / "data")
    device = open_device(f"adb:{again.address}", aliases={})
    assert device.list()[0] == "bundle/a.bin"
    result = device.push(bundle, "bundle")
    assert (result.skipped_files, result.sent_files) == (1, 2)
    assert device.pull("bundle/c.bin", tmp_path / "c").read_bytes() == (bundle / "c.bin").read_bytes()


def test_a_phone_that_goes_away_while_running_is_lost_at_once(make_phone: Callable[..., EmulatedPhone]) -> None:
    phone = make_phone()
    device = opened(phone)
    lines: list[str] = []

    def listen(line: str) -> None:
        lines.append(line)
        threading.Timer(0.2, phone.stop).start()

    start = time.monotonic()
    with pytest.raises(DeviceLost):
        device.run(["sh", "-c", "echo sample 1; sleep 60; echo sample 2"], on_line=listen)
    assert time.monotonic() - start < 20
    assert lines == ["sample 1"]  # what had come by then is not lost
    with pytest.raises(DeviceLost, match=r"offline|gone"):
        device.run(["true"])


def test_full_storage_is_an_error_with_figures_and_leaves_no_partial_file(
    make_phone: Callable[..., EmulatedPhone], tmp_path: Path
) -> None:
    device = opened(make_phone(storage="8M"))
    (tmp_path / "small").write_bytes(os.urandom(1 << 20))
    (tmp_path / "large").write_bytes(os.urandom(12 << 20))
    device.push(tmp_path / "small", "small")
    with pytest.raises(DeviceFull, match="no space is left") as caught:
        device.push(tmp_path / "large", "large")
    assert caught.value.details == ("it takes 12 MiB", "7 MiB are free on the device")
    assert caught.value.hint == f"edgedeploy clean --device {device.address}"
    assert device.list() == ("small",)


def test_a_folder_where_programs_may_not_run_is_named_in_the_error(
    make_phone: Callable[..., EmulatedPhone], tmp_path: Path
) -> None:
    device = opened(make_phone(noexec=True))
    program = tmp_path / "runner"
    program.write_text("#!/system/bin/sh\n")
    device.push(program, "data")  # not executable: allowed
    program.chmod(0o755)
    with pytest.raises(DeviceError, match="programs may not be run from /data/local/tmp/edgedeploy"):
        device.push(program, "runner")


def test_a_folder_that_cannot_be_written_is_an_error(phone: EmulatedPhone, tmp_path: Path) -> None:
    device = RemoteDevice(ReadOnlyFolder(phone.address))
    (tmp_path / "x").write_text("x")
    with pytest.raises(DeviceError, match="could not be pushed") as caught:
        device.push(tmp_path / "x", "x")
    assert "mkdir" in caught.value.details[0]


def test_a_remote_process_that_is_killed_has_a_signal(phone_device: RemoteDevice) -> None:
    def kill(line: str) -> None:
        phone_device.ask(f"kill -KILL {line}")

    result = phone_device.run(["sh", "-c", "echo $$; exec sleep 60"], on_line=kill)
    assert (result.signal, result.seconds < 30) == (9, True)


def test_a_remote_shell_that_is_killed_is_an_error(phone_device: RemoteDevice) -> None:
    """Out of memory, Android kills the shell with the program; then no exit code arrives."""
    with pytest.raises(DeviceLost, match="closed the connection"):
        phone_device.run(["sh", "-c", "echo x; sleep 3"], on_line=lambda line: phone_device.ask(_KILL_SHELLS) and None)
    assert phone_device.list() == ()  # the program that the shell had left was found by its pid file, and killed


# The word is cut in two, so that the shell that looks for it does not find itself.
_KILL_SHELLS = """
word=EDGEDEPLOY_
for folder in /proc/[0-9]*; do
    grep -q "${word}RUN=" $folder/cmdline && kill -KILL ${folder#/proc/}
done 2>/dev/null"""


def test_a_phone_of_another_architecture_is_refused(make_phone: Callable[..., EmulatedPhone]) -> None:
    abis = {"ro.product.cpu.abi": "armeabi-v7a", "ro.product.cpu.abilist": "armeabi-v7a,armeabi"}
    info = opened(make_phone(properties=abis)).describe()
    with pytest.raises(DeviceError, match="does not run arm64-v8a programs") as caught:
        require_abi(info, "arm64-v8a")
    assert caught.value.details == ("it runs armeabi-v7a, armeabi",)


def test_a_program_for_another_architecture_does_not_start(phone_device: RemoteDevice, tmp_path: Path) -> None:
    # the head of an ELF file for the s390, which neither this host nor the phone is
    (tmp_path / "other").write_bytes(b"\x7fELF\x02\x02\x01" + bytes(9) + b"\x00\x02\x00\x16" + bytes(44))
    (tmp_path / "other").chmod(0o755)
    phone_device.push(tmp_path / "other", "other")
    result = phone_device.run(["./other"])
    assert result.exit_code != 0
    assert "./other: not executable" in result.stderr


def test_two_phones_and_none_chosen(make_phone: Callable[..., EmulatedPhone], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = make_phone(), make_phone(properties={"ro.product.model": "Pixel 7"})
    with pytest.raises(NoDevice, match="phones are connected and none was chosen") as caught:
        open_device("adb", aliases={})
    assert {line.split()[0] for line in caught.value.details} >= {f"adb:{first.address}", f"adb:{second.address}"}
    assert open_device("adb:pixel7", aliases={}).address == f"adb:{second.address}"
    assert open_device("adb:desk", aliases={"desk": f"adb:{first.address}"}).address == f"adb:{first.address}"
    monkeypatch.setenv("ANDROID_SERIAL", first.address)
    assert open_device("adb", aliases={}).address == f"adb:{first.address}"


def test_a_phone_on_the_network_is_connected_to_automatically(make_phone: Callable[..., EmulatedPhone]) -> None:
    phone = make_phone()
    subprocess.run(["adb", "disconnect", phone.address], check=True, capture_output=True)
    assert f"adb:{phone.address}" not in [found.address for found in list_devices()]
    assert open_device(f"adb:{phone.address}", aliases={}).describe().model == "Emulated Arm phone"


def test_a_phone_that_was_away_is_connected_to_again(make_phone: Callable[..., EmulatedPhone]) -> None:
    phone = make_phone()
    phone.stop()
    with pytest.raises(NoDevice, match="cannot connect"):
        open_device(f"adb:{phone.address}", aliases={})
    make_phone(port=phone.port)
    assert open_device(f"adb:{phone.address}", aliases={}).run(["true"]).exit_code == 0


@pytest.mark.parametrize(
    ("line", "state", "advice"),
    [
        ("SERIAL1 unauthorized usb:1-1 transport_id:1", "unauthorized", "unlock the phone and allow USB debugging"),
        ("SERIAL1 offline usb:1-1 transport_id:1", "offline", "replug it"),
        ("SERIAL1 no permissions (missing udev rules?); see [http://x] usb:1-1", "no permissions", "udev rule"),
        ("SERIAL1 recovery usb:1-1 transport_id:1", "recovery", "boot it into Android"),
    ],
)
def test_a_phone_that_refuses_access_is_an_error_with_advice(
    line: str, state: str, advice: str, adb_server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted_adb_server(line + "\n") as (port, requests):
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        with pytest.raises(NoDevice, match=f"adb:SERIAL1 is {state}") as caught:
            open_device("adb", aliases={})
        assert advice in (caught.value.hint or "")
        assert [found.state for found in list_devices()] == ["device", state]
    assert "host:devices-l" in requests


def test_a_phone_that_becomes_unauthorized_while_in_use(adb_server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_adb_server("SERIAL1 unauthorized usb:1-1 transport_id:1\n") as (port, _):
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        with pytest.raises(NoDevice, match="adb:SERIAL1 is unauthorized"):
            RemoteDevice(AdbConnection("SERIAL1")).run(["true"])


def test_an_address_where_nothing_listens_is_an_error(adb_server: int) -> None:
    with pytest.raises(NoDevice, match=r"adb cannot connect to 127\.0\.0\.1:9"):
        open_device("adb:127.0.0.1:9", aliases={})


def test_a_server_that_a_listing_starts_keeps_its_log_in_the_cache(
    adb_server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("EDGEDEPLOY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(free_port()))
    list_adb()
    subprocess.run(["adb", "kill-server"], check=True, capture_output=True)
    assert list((tmp_path / "cache" / "adb").glob("adb*.log"))
    assert list((tmp_path / "temporary").iterdir()) == []


def test_without_adb_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceError, match="adb is not installed") as caught:
        open_device("adb", aliases={})
    assert "apt-get install adb" in (caught.value.hint or "")
