"""Starts, stops and finds emulated phones.

It is a process tree in namespaces of its own (user, mount, pid; adbd then leaves the network too), started by util-linux'
`unshare`, with qemu's user mode behind every aarch64 program. Killing its first process ends all of it.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_state_path

from edgedeploy.core.errors import DeviceError
from edgedeploy.core.storage.json_records import RecordInvalid, decode, write_record

from .build import HERE, build_emulated_phone
from .tools import require_tools

DEFAULT_CPU = "cortex-a76"
START_TOOLS = ["bash", "chroot", "qemu-aarch64-static", "setpriv", "unshare"]
READY_SECONDS = 20.0
ANDROID_SHELL_UID = 2000


@dataclass(frozen=True)
class EmulatedPhoneOptions:
    """How an emulated phone is started.

    Attributes:
        cpu: QEMU's name of the core.
        properties: added to those that `getprop` reports, or in their place.
        storage: size of /data/local/tmp, which lies in memory.
        data: a folder of the host that is mounted there instead, and outlives the phone.
        noexec: programs in /data/local/tmp may not be run.
        die_with_parent: the phone ends when the thread that started it ends, however it ends.
    """

    cpu: str = DEFAULT_CPU
    properties: Mapping[str, str] = field(default_factory=dict)
    storage: str = "2G"
    data: Path | None = None
    noexec: bool = False
    die_with_parent: bool = False


@dataclass(frozen=True)
class EmulatedPhone:
    """An emulated phone that was started; also the record in its `phone.json`.

    Attributes:
        port: TCP port on loopback; `adb connect` takes `address`.
        pid: of the `unshare` that holds the namespaces.
        start_ticks: that process's start time in the kernel's clock ticks since boot, which distinguishes it from
            a later process with the same pid.
        cpu: QEMU's name of the emulated core.
        folder: its log and the few files that it was started with.
    """

    port: int
    pid: int
    start_ticks: int
    cpu: str
    folder: str

    @property
    def address(self) -> str:
        """The address that adb connects to, which is also the phone's serial in adb."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """The last lines that booting and adbd wrote."""
        with contextlib.suppress(OSError):
            return "\n".join(Path(self.folder, "log").read_text(errors="replace").splitlines()[-12:])
        return ""

    def running(self) -> bool:
        """Whether it still runs."""
        return start_ticks_of(self.pid) == self.start_ticks

    def stop(self) -> None:
        """Kills every process of the phone at once, as if the cable and the battery were pulled."""
        if not self.running():  # its port and its folder may be another phone's by now
            return
        for pid in (*_children(self.pid), self.pid):
            with contextlib.suppress(ProcessLookupError):
                if self.running():
                    os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        # The kernel kills what ran inside, which takes longer on a busy machine; adbd holds the port until then.
        while (self.running() or not _port_is_free(self.port)) and time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):  # a child only of the process that started it
                os.waitpid(self.pid, os.WNOHANG)
            time.sleep(0.01)
        shutil.rmtree(self.folder, ignore_errors=True)


def start_emulated_phone(port: int = 0, options: EmulatedPhoneOptions | None = None) -> EmulatedPhone:
    """A running emulated phone that accepts adb connections, built first if need be. Every start is a clean device.

    Args:
        port: on loopback; 0 takes a free one.

    Raises DeviceError where a tool or a permission of the host is missing.
    """
    options = options or EmulatedPhoneOptions()
    root = build_emulated_phone()
    require_tools(START_TOOLS, "starting the emulated phone")
    port = port or free_port()
    if not _port_is_free(port):
        raise DeviceError(
            f"port {port} is taken",
            hint="another --port, or `python -m edgedeploy.android_harness.emulated_phone stop`",
        )
    folder = _state_folder() / str(port)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    process = _launch(root, folder, port, options)
    phone = EmulatedPhone(port, process.pid, start_ticks_of(process.pid), options.cpu, str(folder))
    try:
        if os.geteuid() == 0:
            _map_ids(process.pid)
        _wait_until_ready(phone, process)
        write_record(folder / "phone.json", phone)
    except BaseException:
        phone.stop()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return phone


def running_emulated_phones() -> list[EmulatedPhone]:
    """The emulated phones that run now, by port; records of those that are gone are removed.

    Raises DeviceError where a record is damaged.
    """
    phones = []
    for path in sorted(_state_folder().glob("*/phone.json"), key=lambda path: int(path.parent.name)):
        try:
            phone = decode(path.read_bytes(), EmulatedPhone)
        except RecordInvalid as invalid:
            raise DeviceError(
                f"the record of an emulated phone is damaged: {path}",
                details=[str(invalid)],
                hint=f"end its processes, then rm -r {path.parent}",
            ) from invalid
        if phone.running():
            phones.append(phone)
        else:
            shutil.rmtree(path.parent, ignore_errors=True)
    return phones


def _launch(root: Path, folder: Path, port: int, options: EmulatedPhoneOptions) -> subprocess.Popen[bytes]:
    (folder / "cpuinfo").write_text(_cpuinfo())
    own = {"ro.serialno": f"EDGEPHONE{port}", **options.properties}
    lines = [(root / "system" / "build.prop").read_text(), *(f"{name}={value}\n" for name, value in own.items())]
    (folder / "build.prop").write_text("".join(lines))
    if options.data is not None:
        options.data.mkdir(parents=True, exist_ok=True)
        options.data.chmod(0o1777)
    by_root = os.geteuid() == 0
    settings = {
        "PHONE_ROOT": str(root),
        "PHONE_QEMU": shutil.which("qemu-aarch64-static") or "",
        "PHONE_CPU": options.cpu,
        "PHONE_CPUINFO": str(folder / "cpuinfo"),
        "PHONE_PROPERTIES": str(folder / "build.prop"),
        "PHONE_STORAGE": options.storage,
        "PHONE_DATA": str(options.data or ""),
        "PHONE_MOUNT_OPTIONS": ",noexec" if options.noexec else "",
        "PHONE_PORT": str(port),
        # Started by root the phone has real user ids, and adbd becomes "shell"; else its one user is called root.
        "PHONE_UID": str(ANDROID_SHELL_UID) if by_root else "",
    }
    namespaces = ["unshare", "--user", "--mount", "--pid", "--fork", "--kill-child"]
    namespaces.append("--keep-caps" if by_root else "--map-root-user")
    # The kernel kills it when the starting thread ends, even by SIGKILL; no lock or pidfile could do that.
    parent_death = ["setpriv", "--pdeathsig", "KILL", "--"] if options.die_with_parent else []
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [*parent_death, *namespaces, "--", "bash", str(HERE / "boot.sh")],
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal does not reach the phone
        )


def _cpuinfo() -> str:
    """An Arm /proc/cpuinfo with as many cores as the host has."""
    core = (HERE / "cpuinfo.txt").read_text()
    return "".join(f"processor\t: {number}\n{core}" for number in range(os.cpu_count() or 1))


def _map_ids(pid: int) -> None:
    """Gives the phone's user namespace 65536 users, as soon as it exists."""
    deadline = time.monotonic() + READY_SECONDS
    mine = os.readlink("/proc/self/ns/user")
    with contextlib.suppress(OSError):  # it ended already: the wait that follows reports why
        while os.readlink(f"/proc/{pid}/ns/user") == mine and time.monotonic() < deadline:
            time.sleep(0.005)
        for kind in ("uid_map", "gid_map"):
            Path(f"/proc/{pid}/{kind}").write_text("0 0 65536\n")


def _wait_until_ready(phone: EmulatedPhone, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", phone.port), timeout=1):
            return
        time.sleep(0.02)
    raise DeviceError(
        "the emulated phone did not start",
        details=phone.log.splitlines(),
        hint="it needs Linux 6.7 or newer, user namespaces allowed to you (sysctl user.max_user_namespaces; on Ubuntu "
        "kernel.apparmor_restrict_unprivileged_userns=0), and qemu-user-static",
    )


def _state_folder() -> Path:
    return user_state_path("edgedeploy") / "phones"


def free_port() -> int:
    """A port of loopback that no process listens on.

    It is outside the range of outgoing connections: an adb server that reconnects to a phone that went away would sooner
    or later be given the phone's own port for that, connect to itself, and keep the port.
    """
    for port in random.sample(range(20_000, 30_000), 1000):
        if _port_is_free(port):
            return port
    raise DeviceError("no free TCP port between 20000 and 30000")


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def start_ticks_of(pid: int) -> int:
    """Start time of a living process, field 22 of its stat; -1 where there is none, or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return -1
    return -1 if fields[0] == "Z" else int(fields[19])


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
