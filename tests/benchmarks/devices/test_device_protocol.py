"""The six verbs are one protocol, and a device needs nothing heavy."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

from edgedeploy.benchmarks.devices import Device, RemoteDevice
from edgedeploy.benchmarks.devices.transports.local_shell import LocalConnection

VERBS = ["list", "describe", "push", "run", "pull", "remove"]


def test_every_device_has_the_six_verbs_as_the_protocol_has_them(tmp_path: Path) -> None:
    device: Device = RemoteDevice(LocalConnection(tmp_path))
    for verb in VERBS:
        asked = inspect.signature(getattr(Device, verb)).parameters
        offered = inspect.signature(getattr(type(device), verb)).parameters
        assert list(asked) == list(offered), verb
        assert inspect.getdoc(getattr(RemoteDevice, verb))


def test_devices_import_nothing_heavy() -> None:
    code = (
        "import sys, edgedeploy.benchmarks.conditions.session, edgedeploy.benchmarks.devices.transports.scripted, "
        "edgedeploy.android_harness.emulated_phone; "
        "print(sorted({'torch', 'numpy', 'onnxruntime', 'executorch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
