"""The emulated phone: what is real about it, and how it starts and stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgedeploy.android_harness.emulated_phone import (
    EmulatedPhone,
    build_emulated_phone,
    running_emulated_phones,
    start_emulated_phone,
)
from edgedeploy.android_harness.emulated_phone import phone as phone_module
from edgedeploy.android_harness.emulated_phone.__main__ import main
from edgedeploy.android_harness.emulated_phone.build import phone_cache
from edgedeploy.android_harness.emulated_phone.phone import free_port, start_ticks_of
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.transports.adb import open_adb
from edgedeploy.core.errors import DeviceError
from tests.phones import eventually


def output_of(device: RemoteDevice, script: str) -> str:
    """The standard output of a script in the phone's shell."""
    return device.run(["sh", "-c", script]).stdout.strip()


def test_it_is_an_arm_phone_with_androids_own_programs(phone_device: RemoteDevice) -> None:
    info = phone_device.describe()
    assert (info.abis, info.os, info.api_level) == (("arm64-v8a",), "Android 14", 34)
    assert output_of(phone_device, "uname -m") == "aarch64"
    assert output_of(phone_device, "readlink /proc/$PPID/exe; toybox") != ""
    assert "MIRBSD KSH" in output_of(phone_device, "echo $KSH_VERSION")
    head = output_of(phone_device, "od -A n -t x1 -N 20 /system/bin/adbd").split()
    assert head[18:20] == ["b7", "00"]  # the ELF header's machine: AArch64


def test_adb_runs_commands_as_androids_shell_user(phone_device: RemoteDevice) -> None:
    expected = "2000 shell" if os.geteuid() == 0 else "0 root"
    assert output_of(phone_device, "echo $(id -u) $(id -un)") == expected


def test_it_has_no_c_library(phone_device: RemoteDevice) -> None:
    assert output_of(phone_device, "ls -d /lib /lib64 /usr /system/lib64/* 2>/dev/null") == ""


def test_it_shows_arm_cores_as_many_as_the_host_has(phone_device: RemoteDevice) -> None:
    assert output_of(phone_device, "grep -c 'CPU implementer' /proc/cpuinfo") == str(os.cpu_count())
    assert "asimddp" in output_of(phone_device, "cat /proc/cpuinfo")


def test_it_has_no_network_except_adb(phone_device: RemoteDevice) -> None:
    interfaces = output_of(phone_device, "cat /proc/self/net/dev").splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        result = phone_device.run(["nc", "-w", "1", "127.0.0.1", str(port)])
        assert result.exit_code != 0


def test_a_built_phone_starts_in_about_a_second(make_phone: Callable[..., EmulatedPhone]) -> None:
    build_emulated_phone()
    start = time.monotonic()
    phone = make_phone()
    assert RemoteDevice(open_adb(phone.address)).ask("echo here")[1] == "here\n"
    assert time.monotonic() - start < 3


def test_every_start_is_a_clean_phone_unless_it_has_a_data_folder(
    make_phone: Callable[..., EmulatedPhone], tmp_path: Path
) -> None:
    for options, kept in (({}, ""), ({"data": tmp_path / "data"}, "kept")):
        phone = make_phone(**options)
        RemoteDevice(open_adb(phone.address)).ask("echo kept >/data/local/tmp/note")
        phone.stop()
        phone = make_phone(port=phone.port, **options)
        assert RemoteDevice(open_adb(phone.address)).ask("cat /data/local/tmp/note")[1].strip() == kept
        phone.stop()


def test_a_stopped_phone_leaves_nothing(make_phone: Callable[..., EmulatedPhone]) -> None:
    def arm_processes() -> list[str]:
        listing = subprocess.run(["ps", "-e", "-o", "args="], capture_output=True, text=True, check=True).stdout
        return [line for line in listing.splitlines() if "sleep 98791" in line and "qemu" in line]

    mounts = Path("/proc/self/mounts").read_text()
    phone = make_phone()
    RemoteDevice(open_adb(phone.address)).ask("setsid sleep 98791 </dev/null >/dev/null 2>&1 &")
    assert eventually(lambda: len(arm_processes()) == 1)
    phone.stop()
    assert not phone.running()
    assert eventually(lambda: arm_processes() == [])
    assert Path("/proc/self/mounts").read_text() == mounts
    assert not Path(phone.folder).exists()
    assert phone not in running_emulated_phones()


def test_the_system_of_one_phone_is_not_changed_by_another(phone_device: RemoteDevice) -> None:
    result = phone_device.run(["sh", "-c", "echo x >/system/bin/getprop"])
    assert result.exit_code != 0


def test_a_stopped_phone_has_released_its_port(make_phone: Callable[..., EmulatedPhone]) -> None:
    phone = make_phone()
    for _ in range(3):
        phone.stop()
        phone = make_phone(port=phone.port)


def test_a_taken_port_is_reported(phone: EmulatedPhone) -> None:
    with pytest.raises(DeviceError, match=f"port {phone.port} is taken"):
        start_emulated_phone(phone.port)


def test_a_phone_that_cannot_boot_is_reported_with_its_log_and_what_it_needs(
    own_folders: None, phone: EmulatedPhone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "phone"
    broken.mkdir()
    (broken / "boot.sh").write_text("echo 'mount: permission denied' >&2; exit 32\n")
    (broken / "cpuinfo.txt").write_text("")
    monkeypatch.setattr(phone_module, "HERE", broken)
    with pytest.raises(DeviceError, match="did not start") as caught:
        start_emulated_phone()
    assert caught.value.details == ("mount: permission denied",)
    assert "Linux 6.7" in (caught.value.hint or "")


def test_a_phone_dies_with_a_test_run_that_is_killed(phone: EmulatedPhone) -> None:
    code = "from edgedeploy.android_harness.emulated_phone import EmulatedPhoneOptions, start_emulated_phone; "
    code += "phone = start_emulated_phone(options=EmulatedPhoneOptions(die_with_parent=True)); "
    code += "print(phone.pid, phone.port, flush=True); import time; time.sleep(60)"
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as starter:
        assert starter.stdout is not None
        pid, port = map(int, starter.stdout.readline().split())
        assert start_ticks_of(pid) != -1
        starter.send_signal(signal.SIGKILL)
        starter.wait()
    assert eventually(lambda: start_ticks_of(pid) == -1)
    assert port not in [other.port for other in running_emulated_phones()]


def test_the_command_line_starts_lists_and_stops_phones(
    phone: EmulatedPhone, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    assert main(["start", "--port", str(port), "--property", "ro.product.model=Pixel 7"]) == 0
    assert capsys.readouterr().out == f"127.0.0.1:{port}\n"
    assert main(["status"]) == 0
    assert f"127.0.0.1:{port}\tpid " in capsys.readouterr().out
    assert main(["stop", "--port", str(port)]) == 0
    assert main(["stop", "--port", str(port)]) == 3
    assert f"no emulated phone runs on port {port}" in capsys.readouterr().err
    assert main(["build"]) == 0
    assert capsys.readouterr().out.startswith(str(phone_cache()))


def test_a_damaged_record_is_reported(own_folders: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    record = tmp_path / "edgedeploy" / "phones" / "5555" / "phone.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"port": 5555}')
    with pytest.raises(DeviceError, match="is damaged") as caught:
        running_emulated_phones()
    assert "missing required field `pid`" in str(caught.value)
