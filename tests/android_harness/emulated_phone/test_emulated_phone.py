"""The emulated phone: what is real about it, how it starts and how it goes."""

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

from edgedeploy.android_harness.emulated_phone import Phone, build_phone, running_phones, start_phone
from edgedeploy.android_harness.emulated_phone import phone as phone_module
from edgedeploy.android_harness.emulated_phone.__main__ import main
from edgedeploy.android_harness.emulated_phone.build import BUILD_TOOLS, HERE, cache_folder
from edgedeploy.android_harness.emulated_phone.phone import START_TOOLS, free_port
from edgedeploy.android_harness.emulated_phone.sources import mirror_in
from edgedeploy.android_harness.emulated_phone.tools import PACKAGE_OF, call, require_tools
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.transports.adb import open_adb
from edgedeploy.core.errors import DeviceError
from tests.phones import eventually


def says(device: RemoteDevice, script: str) -> str:
    """What a script of the phone's shell prints."""
    return device.run(["sh", "-c", script]).stdout.strip()


def test_it_is_an_arm_phone_with_androids_own_programs(phone_device: RemoteDevice) -> None:
    info = phone_device.describe()
    assert (info.abis, info.system, info.api_level) == (("arm64-v8a",), "Android 14", 34)
    assert says(phone_device, "uname -m") == "aarch64"
    assert says(phone_device, "readlink /proc/$PPID/exe; toybox") != ""
    assert "MIRBSD KSH" in says(phone_device, "echo $KSH_VERSION")
    head = says(phone_device, "od -A n -t x1 -N 20 /system/bin/adbd").split()
    assert head[18:20] == ["b7", "00"]  # the ELF header's machine: AArch64


def test_adb_comes_in_as_androids_shell_user(phone_device: RemoteDevice) -> None:
    expected = "2000 shell" if os.geteuid() == 0 else "0 root"
    assert says(phone_device, "echo $(id -u) $(id -un)") == expected


def test_it_has_no_c_library(phone_device: RemoteDevice) -> None:
    assert says(phone_device, "ls -d /lib /lib64 /usr /system/lib64/* 2>/dev/null") == ""


def test_it_shows_arm_cores_as_many_as_the_host_has(phone_device: RemoteDevice) -> None:
    assert says(phone_device, "grep -c 'CPU implementer' /proc/cpuinfo") == str(os.cpu_count())
    assert "asimddp" in says(phone_device, "cat /proc/cpuinfo")


def test_it_has_no_network_but_adb(phone_device: RemoteDevice) -> None:
    interfaces = says(phone_device, "cat /proc/self/net/dev").splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        result = phone_device.run(["nc", "-w", "1", "127.0.0.1", str(port)])
        assert result.exit_code != 0


def test_a_built_phone_starts_in_about_a_second(make_phone: Callable[..., Phone]) -> None:
    build_phone()
    start = time.monotonic()
    phone = make_phone()
    assert RemoteDevice(open_adb(phone.address)).ask("echo here")[1] == "here\n"
    assert time.monotonic() - start < 3


def test_a_warm_build_needs_no_network_and_no_time(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgedeploy.android_harness.emulated_phone import build

    monkeypatch.setattr(build, "fetch_source", lambda *a: pytest.fail("a warm build fetched sources"))
    start = time.monotonic()
    assert build_phone().is_dir()
    assert time.monotonic() - start < 1


def test_every_start_is_a_clean_phone_unless_it_is_given_a_folder(
    make_phone: Callable[..., Phone], tmp_path: Path
) -> None:
    for options, kept in (({}, ""), ({"data": tmp_path / "data"}, "kept")):
        phone = make_phone(**options)
        RemoteDevice(open_adb(phone.address)).ask("echo kept >/data/local/tmp/note")
        phone.stop()
        phone = make_phone(port=phone.port, **options)
        assert RemoteDevice(open_adb(phone.address)).ask("cat /data/local/tmp/note")[1].strip() == kept
        phone.stop()


def test_a_stopped_phone_leaves_nothing(make_phone: Callable[..., Phone]) -> None:
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
    assert phone not in running_phones()


def test_the_system_of_one_phone_is_not_changed_by_another(phone_device: RemoteDevice) -> None:
    result = phone_device.run(["sh", "-c", "echo x >/system/bin/getprop"])
    assert result.exit_code != 0


def test_a_stopped_phone_has_given_its_port_back(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone()
    for _ in range(3):
        phone.stop()
        phone = make_phone(port=phone.port)


def test_a_taken_port_is_told(phone: Phone) -> None:
    with pytest.raises(DeviceError, match=f"port {phone.port} is taken"):
        start_phone(phone.port)


def test_a_phone_that_cannot_boot_says_what_it_wrote_and_what_it_needs(
    own_places: None, phone: Phone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "phone"
    broken.mkdir()
    (broken / "boot.sh").write_text("echo 'mount: permission denied' >&2; exit 32\n")
    (broken / "cpuinfo.txt").write_text("")
    monkeypatch.setattr(phone_module, "HERE", broken)
    with pytest.raises(DeviceError, match="did not start") as caught:
        start_phone()
    assert caught.value.details == ("mount: permission denied",)
    assert "Linux 6.7" in (caught.value.hint or "")


def test_a_phone_dies_with_a_test_run_that_is_killed(phone: Phone) -> None:
    code = "from edgedeploy.android_harness.emulated_phone import start_phone; phone = start_phone(tied=True); "
    code += "print(phone.pid, phone.port, flush=True); import time; time.sleep(60)"
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as starter:
        assert starter.stdout is not None
        pid, port = map(int, starter.stdout.readline().split())
        assert phone_module._born(pid) != -1
        starter.send_signal(signal.SIGKILL)
        starter.wait()
    assert eventually(lambda: phone_module._born(pid) == -1)
    assert port not in [other.port for other in running_phones()]


def test_the_command_starts_lists_and_stops(phone: Phone, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    assert main(["start", "--port", str(port), "--property", "ro.product.model=Pixel 7"]) == 0
    assert capsys.readouterr().out == f"127.0.0.1:{port}\n"
    assert main(["status"]) == 0
    assert f"127.0.0.1:{port}\tpid " in capsys.readouterr().out
    assert main(["stop", "--port", str(port)]) == 0
    assert main(["stop", "--port", str(port)]) == 3
    assert f"no emulated phone runs on port {port}" in capsys.readouterr().err
    assert main(["build"]) == 0
    assert capsys.readouterr().out.startswith(str(cache_folder()))


@pytest.mark.parametrize(
    ("listing", "mirror"),
    [
        ("Debian main http://mirror.example/debian/\n", "http://mirror.example/debian/"),
        ("Ubuntu main http://u.example/ubuntu/\nDebian main http://d.example/debian\n", "http://d.example/debian"),
        (
            "Debian main http://s.example/debian-security/\nDebian main http://d.example/debian/\n",
            "http://d.example/debian/",
        ),
        ("Debian contrib http://c.example/x\n\nDebian main https://d.example/y\n", "https://d.example/y"),
    ],
)
def test_the_mirror_is_the_machines_own(listing: str, mirror: str) -> None:
    assert mirror_in(listing) == mirror


def test_a_machine_without_debian_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match="names no Debian archive"):
        mirror_in("Ubuntu main http://u.example/ubuntu/\n")


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceError, match="qemu-aarch64-static") as caught:
        require_tools(["qemu-aarch64-static", "unshare"], "starting")
    assert caught.value.hint == "apt-get install qemu-user-static util-linux"


def test_the_list_of_packages_has_all_that_is_not_on_every_debian() -> None:
    lines = (HERE.parent / "packages.txt").read_text().splitlines()
    listed = [line for line in lines if not line.startswith("#")]
    on_every_debian = {"apt", "bash", "coreutils", "tar", "util-linux"}
    assert {PACKAGE_OF[program] for program in (*BUILD_TOOLS, *START_TOOLS, "adb")} <= {*listed, *on_every_debian}
    assert listed == sorted(listed)


def test_a_failed_step_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="sh exited with 4") as caught:
        call(["sh", "-c", "echo cannot find -lz >&2; exit 4"], log=tmp_path / "log")
    assert caught.value.details[-1] == "cannot find -lz"
    assert caught.value.hint == f"read {tmp_path / 'log'}"
