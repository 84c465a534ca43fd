"""devices: what `--device` takes at this moment."""

from __future__ import annotations

from dataclasses import dataclass

from edgedeploy.core.errors import DeviceError
from edgedeploy.core.reporter import NullReporter, Reporter


@dataclass(frozen=True)
class DeviceRow:
    """One device.

    Attributes:
        device: what `--device` takes.
        description: manufacturer's model and product, or what kind of device it is.
        state: "ready", adb's word for why it cannot be used, or "not checked" for a device that only edgedeploy.toml names.
        aliases: its names in edgedeploy.toml.
    """

    device: str
    description: str
    state: str
    aliases: tuple[str, ...] = ()


def list_devices(reporter: Reporter | None = None) -> list[DeviceRow]:
    """This machine, every phone that adb sees, usable or not, the aliases of edgedeploy.toml, and qemu."""
    from edgedeploy.android_harness.qemu import CPUS, DEFAULT_CPU
    from edgedeploy.benchmarks.devices import FoundDevice, read_aliases
    from edgedeploy.benchmarks.devices import list_devices as find_devices

    reporter = reporter or NullReporter()
    try:
        found = list(find_devices())
    except DeviceError as error:
        advice = f"; try {error.hint}" if error.hint else ""
        reporter.note(f"phones cannot be listed: {error.message}{advice}")
        found = [FoundDevice("local")]
    aliases = read_aliases()
    rows = []
    for device in found:
        description = "this machine" if device.address == "local" else f"{device.model} {device.product}".strip()
        names = (device.address, device.address.partition(":")[2])
        called = tuple(alias for alias, name in aliases.items() if name in names)
        rows.append(
            DeviceRow(device.address, description, "ready" if device.state == "device" else device.state, called)
        )
    listed = {device.address for device in found}
    for alias, name in aliases.items():
        if name not in listed and f"adb:{name}" not in listed:
            rows.append(DeviceRow(name, "of the configuration", "not checked", (alias,)))
    others = ", ".join(f"qemu:{cpu}" for cpu in CPUS if cpu != DEFAULT_CPU)
    rows.append(DeviceRow("qemu", f"emulated {DEFAULT_CPU}, counts instructions; also {others}", "ready"))
    return rows
