"""Phones, through the `adb` program.

Why the program and not a Python client such as adbutils: the adb server is the program anyway, and a client of another
version than the server makes the server restart for all its users; the program's messages are those that people can look
up; a remote shell session that must end (Ctrl-C, a timeout) is a process that can be killed; and its shell protocol carries
exit code, stdout and stderr separately and takes stdin, which is all that RemoteDevice needs. adb's file service is not
used: it cannot write a file atomically, hash it, or report progress to a program.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from edgedeploy.benchmarks.devices.base import FoundDevice
from edgedeploy.benchmarks.devices.discovery import choose_adb
from edgedeploy.core.errors import DeviceError, DeviceLost, NoDevice
from edgedeploy.core.storage.cache import cache_folder

FOLDER = "/data/local/tmp/edgedeploy"
INSTALL_HINT = "install Android's platform tools (on Debian: apt-get install adb)"

# The states in which adb lists a device that cannot be used, and what to do about them.
ADVICE = {
    "unauthorized": "unlock the phone and allow USB debugging for this computer",
    "authorizing": "unlock the phone and allow USB debugging for this computer",
    "offline": "replug it, or `adb reconnect offline`",
    "no permissions": "add a udev rule for it (on Debian: apt-get install android-sdk-platform-tools-common), then replug",
    "recovery": "boot it into Android",
    "sideload": "boot it into Android",
    "bootloader": "boot it into Android",
}


class AdbConnection:
    """One device of the adb server, by serial."""

    system_root = ""

    def __init__(self, serial: str) -> None:
        self.serial = serial
        self.address = f"adb:{serial}"

    def argv(self, script: str) -> list[str]:
        """-T: no terminal, so that bytes stay as they are and stderr is its own."""
        return [adb_program(), "-s", self.serial, "shell", "-T", script]

    def folder(self) -> str:
        """The folder where Android's shell user may keep and run programs."""
        return FOLDER

    def reopen(self) -> None:
        """Connects again to a device on the network."""
        open_adb(self.serial)

    def lost(self, stderr: str) -> DeviceError:
        """The error for a session that was interrupted."""
        state = next((found.state for found in list_adb() if found.address == self.address), "gone")
        if state in ADVICE and state != "offline":
            return NoDevice(f"{self.address} is {state}", hint=ADVICE[state])
        where = {"gone": "is gone", "offline": "has gone offline"}.get(state, "closed the connection")
        return DeviceLost(
            f"{self.address} {where}",
            details=stderr.splitlines()[-3:],
            hint="look at the cable or the network, then run the same command again",
        )


def adb_program() -> str:
    """Path of adb. Raises DeviceError where it is not installed."""
    program = shutil.which("adb")
    if program is None:
        raise DeviceError("adb is not installed", hint=INSTALL_HINT)
    return program


def list_adb() -> tuple[FoundDevice, ...]:
    """All devices that the adb server knows, usable or not; starts the server if it does not run."""
    return parse_devices(_adb("devices", "-l"))


def parse_devices(text: str) -> tuple[FoundDevice, ...]:
    """Parses the output of `adb devices -l`.

    R5CT10XYZ              device usb:1-2 product:panther model:Pixel_7 device:panther transport_id:3
    0A041FDD4000AA         no permissions (missing udev rules? ...); see [...] usb:1-3 transport_id:4
    """
    found = []
    for line in text.splitlines()[1:]:
        match = re.match(r"(\S+)\s+(no permissions|\S+)(.*)", line)
        if match and not line.startswith("*"):
            serial, state, rest = match.groups()
            fields: dict[str, str] = dict(re.findall(r"(\w+):(\S+)", rest))
            model = fields.get("model", "").replace("_", " ")
            found.append(FoundDevice(f"adb:{serial}", state, model, fields.get("device", fields.get("product", ""))))
    return tuple(found)


def connect(address: str) -> None:
    """Connects to a device on the network, `host:port`. Raises NoDevice."""
    output = _adb("connect", address).strip()
    if not re.search(r"^(already )?connected to", output, flags=re.MULTILINE):
        raise NoDevice(
            f"adb cannot connect to {address}",
            details=output.splitlines(),
            hint="switch wireless debugging on, pair first, and use the port that the phone shows: it changes",
        )


def connect_adb(name: str) -> AdbConnection:
    """A connection to the phone that a person means by `name`; one with a network address is connected to first.

    Raises NoDevice, or DeviceError for too old an Android.
    """
    found = list_adb()
    if is_network_address(name) and name not in [device.address.removeprefix("adb:") for device in found]:
        connect(name)
        return open_adb(name)
    return open_adb(choose_adb(name, found))


def open_adb(serial: str) -> AdbConnection:
    """A connection to a device by its serial. Raises NoDevice, or DeviceError where its Android is too old."""
    state = next((found.state for found in list_adb() if found.address == f"adb:{serial}"), None)
    if is_network_address(serial) and state != "device":
        if state is not None:
            _adb("disconnect", serial)
        connect(serial)
        state = next((found.state for found in list_adb() if found.address == f"adb:{serial}"), None)
    if state != "device":
        raise NoDevice(
            f"adb:{serial} is {state or 'not connected'}", hint=ADVICE.get(state or "", "edgedeploy devices")
        )
    if "shell_v2" not in _adb("-s", serial, "features").split():
        raise DeviceError(f"adb:{serial} is older than Android 7, whose shell returns no exit codes")
    return AdbConnection(serial)


def is_network_address(name: str) -> bool:
    """Whether adb would connect to it: `host:port`, `[::1]:5555`."""
    return re.fullmatch(r"([\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}", name) is not None


def _log_folder() -> dict[str, str]:
    """Where an adb server that this call starts keeps its log: in the cache, and not among the temporary files."""
    folder = cache_folder("adb")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return {}
    return {"TMPDIR": str(folder)} if os.access(folder, os.W_OK | os.X_OK) else {}


def _adb(*arguments: str) -> str:
    try:
        done = subprocess.run(
            [adb_program(), *arguments],
            capture_output=True,
            timeout=30,
            stdin=subprocess.DEVNULL,
            env=os.environ | _log_folder(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoDevice(
            f"`adb {' '.join(arguments)}` did not answer in 30 s", hint="adb kill-server, then again"
        ) from None
    output = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode and arguments[0] not in ("connect", "disconnect"):
        raise NoDevice(f"`adb {' '.join(arguments)}` failed", details=output.strip().splitlines()[-5:])
    return output
