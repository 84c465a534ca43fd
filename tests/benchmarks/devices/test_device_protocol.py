"""RemoteDevice implements the Device protocol, and a device needs no numerical library."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

from edgedeploy.benchmarks.devices import Device, RemoteDevice
from edgedeploy.benchmarks.devices.transports.local_shell import LocalConnection

METHODS = ["list", "describe", "push", "run", "pull", "remove"]


def test_every_device_has_the_methods_of_the_protocol(tmp_path: Path) -> None:
    device: Device = RemoteDevice(LocalConnection(tmp_path))
    for method in METHODS:
        wanted = inspect.signature(getattr(Device, method)).parameters
        offered = inspect.signature(getattr(type(device), method)).parameters
        assert list(wanted) == list(offered), method
        assert inspect.getdoc(getattr(RemoteDevice, method))


def test_devices_import_nothing_heavy() -> None:
    code = (
        "import sys, edgedeploy.benchmarks.conditions.session, edgedeploy.benchmarks.devices.transports.scripted, "
        "edgedeploy.android_harness.emulated_phone; "
        "print(sorted({'torch', 'numpy', 'onnxruntime', 'executorch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
