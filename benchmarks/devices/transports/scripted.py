"""A simulated device with what an emulator lacks: heat, clock frequencies, big and little cores, a Pixel's properties.

A folder of this machine holds the device's /sys and /proc, and programs that print what Android's `getprop`, `dumpsys` and
`cmd` print; the scripts for a phone run in this machine's shell. A test, or a demonstration, changes the files while the
device is in use.

    device = pixel_7(folder)
    device.heat(status=3, big_c=88.5)
"""

from __future__ import annotations

from pathlib import Path

from edgedeploy.benchmarks.devices import shell_scripts as shell
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.core.errors import DeviceError, DeviceLost

# As a Pixel 7 reports them: four little, two middle, two big cores.
PIXEL_7_CLOCKS_KHZ = (1803000,) * 4 + (2348000,) * 2 + (2850000,) * 2
PIXEL_7_PROPERTIES = {
    "ro.product.model": "Pixel 7",
    "ro.product.device": "panther",
    "ro.product.name": "panther",
    "ro.product.manufacturer": "Google",
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.product.cpu.abilist": "arm64-v8a",
    "ro.soc.model": "Tensor G2",
    "ro.soc.manufacturer": "Google",
    "ro.board.platform": "gs201",
    "ro.hardware": "panther",
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
    "ro.serialno": "SCRIPTED0001",
}

_PROGRAMS = {
    "getprop": 'cat "$SCRIPTED/getprop.txt"',
    "dumpsys": """
file=$SCRIPTED/dumpsys-$1.txt
[ -f "$file" ] || { echo "Can't find service: $1" >&2; exit 1; }
cat "$file" """,
    "cmd": """
echo "$*" >>"$SCRIPTED/cmd.log"
[ ! -f "$SCRIPTED/cmd-refuses.txt" ] || { cat "$SCRIPTED/cmd-refuses.txt"; exit 255; }""",
}


class ScriptedConnection:
    """This machine's shell, with the scripted device's programs first in its PATH."""

    def __init__(self, root: Path, address: str) -> None:
        self.root, self.address = root, address
        self.system_root = str(root)

    def argv(self, script: str) -> list[str]:
        """The shell; for a device that was unplugged, a command that fails as adb does."""
        if (self.root / "unplugged").exists():
            return ["sh", "-c", "echo \"error: device 'scripted' not found\" >&2; exit 1"]
        prefix = f"export SCRIPTED={shell.quote(str(self.root))}\nexport PATH=$SCRIPTED/programs:$PATH\n"
        return ["sh", "-c", prefix + script]

    def folder(self) -> str:
        """Inside the folder that holds the device's files."""
        return str(self.root / "data" / "local" / "tmp" / "edgedeploy")

    def reopen(self) -> None:
        """Nothing to do: every session is a new process."""

    def lost(self, stderr: str) -> DeviceError:
        """The error for a device that was unplugged."""
        return DeviceLost(f"{self.address} is gone", details=stderr.splitlines()[-3:])


class ScriptedDevice(RemoteDevice):
    """A RemoteDevice whose state a test sets. What is not set does not exist on it."""

    def __init__(self, root: Path, address: str = "scripted") -> None:
        super().__init__(ScriptedConnection(root, address))
        self.root = root
        for name, text in _PROGRAMS.items():
            self.write(f"programs/{name}", f"#!/bin/sh\n{text}\n")
            (root / "programs" / name).chmod(0o755)
        self.write("getprop.txt", "")

    def write(self, path: str, text: str) -> None:
        """Writes one of the device's files."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def properties(self, values: dict[str, str]) -> None:
        """Sets what `getprop` prints."""
        self.write("getprop.txt", "".join(f"[{name}]: [{value}]\n" for name, value in values.items()))

    def cores(self, max_khz: tuple[int, ...], share: float = 1.0) -> None:
        """Sets the cores' highest frequencies, and the share of it at which each runs now."""
        for number, clock in enumerate(max_khz):
            folder = f"sys/devices/system/cpu/cpu{number}/cpufreq"
            self.write(f"{folder}/cpuinfo_max_freq", f"{clock}\n")
            self.write(f"{folder}/scaling_cur_freq", f"{int(clock * share)}\n")
            self.write(f"{folder}/scaling_governor", "sched_pixel\n")

    def battery(self, *, percent: int, temperature_c: float, plugged: bool) -> None:
        """Sets what `dumpsys battery` prints."""
        lines = [
            "Current Battery Service state:",
            "  AC powered: false",
            f"  USB powered: {str(plugged).lower()}",
            "  Wireless powered: false",
            f"  level: {percent}",
            "  scale: 100",
            f"  temperature: {round(temperature_c * 10)}",
        ]
        self.write("dumpsys-battery.txt", "\n".join(lines) + "\n")

    def screen(self, *, on: bool) -> None:
        """Sets what `dumpsys power` prints."""
        self.write("dumpsys-power.txt", f"POWER MANAGER\n  mWakefulness={'Awake' if on else 'Asleep'}\n")

    def heat(self, *, status: int, big_c: float) -> None:
        """Sets what `dumpsys thermalservice` prints: Android's thermal status, and the big cores' temperature."""
        lines = [
            f"IsStatusOverride: false\nThermalEventListeners:\nThermal Status: {status}",
            "Cached temperatures:",
            f"\tTemperature{{mValue={big_c - 20}, mType=0, mName=BIG, mStatus=0}}",
            "HAL Ready: true",
            "Current temperatures from HAL:",
            f"\tTemperature{{mValue={big_c}, mType=0, mName=BIG, mStatus={status}}}",
            f"\tTemperature{{mValue={big_c - 5}, mType=3, mName=VIRTUAL-SKIN, mStatus={status}}}",
            "\tTemperature{mValue=0.0, mType=6, mName=battery, mStatus=0}",
            "Current cooling devices from HAL:",
        ]
        self.write("dumpsys-thermalservice.txt", "\n".join(lines) + "\n")

    def commands(self) -> list[str]:
        """The arguments of each `cmd` so far."""
        log = self.root / "cmd.log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def pixel_7(root: Path, *, abi: str = "arm64-v8a", clocks_khz: tuple[int, ...] = PIXEL_7_CLOCKS_KHZ) -> ScriptedDevice:
    """A Pixel 7 at rest: cool, screen off, plugged in, at its highest frequencies.

    With the ABI of this machine, and no more cores than it has, real programs run on it.
    """
    device = ScriptedDevice(root, "scripted:pixel7")
    device.properties(PIXEL_7_PROPERTIES | {"ro.product.cpu.abi": abi, "ro.product.cpu.abilist": abi})
    device.cores(clocks_khz)
    device.battery(percent=87, temperature_c=28.4, plugged=True)
    device.screen(on=False)
    device.heat(status=0, big_c=31.2)
    return device
