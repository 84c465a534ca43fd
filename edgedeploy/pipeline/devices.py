"""What the commands devices, clean and runner do: plain records, printed as a table or as JSON."""

from __future__ import annotations

from typing import Any

from edgedeploy.core.errors import DeviceError, UsageError
from edgedeploy.core.reporter import NullReporter, Reporter


def devices(reporter: Reporter | None = None) -> list[dict[str, Any]]:
    """One record for each thing that `--device` takes now, usable or not, and each alias of the configuration."""
    from edgedeploy.android_harness.qemu import CPUS, DEFAULT_CPU
    from edgedeploy.benchmarks.devices import FoundDevice, list_devices, read_aliases

    reporter = reporter or NullReporter()
    try:
        found = list(list_devices())
    except DeviceError as error:
        reporter.note(f"no phones can be listed: {error}")
        found = [FoundDevice("local")]
    aliases = read_aliases()
    rows = []
    for device in found:
        what = "this machine" if device.address == "local" else f"{device.model} {device.product}".strip()
        state = "ready" if device.state == "device" else device.state
        also = [name for name, meant in aliases.items() if meant in (device.address, device.address.partition(":")[2])]
        rows.append(_row(device.address, what, state, also))
    listed = {device.address for device in found}
    for name, meant in aliases.items():
        if meant not in listed and f"adb:{meant}" not in listed:
            rows.append(_row(meant, "of the configuration", "not asked", [name]))
    others = ", ".join(f"qemu:{cpu}" for cpu in CPUS if cpu != DEFAULT_CPU)
    rows.append(_row("qemu", f"emulated {DEFAULT_CPU}, counts instructions; also {others}", "ready", []))
    return rows


def _row(device: str, what: str, state: str, aliases: list[str]) -> dict[str, Any]:
    return {"device": device, "what": what, "state": state, "aliases": aliases}


def clean(device: str) -> list[str]:
    """Removes all that edgedeploy keeps on a device; gives the files that went. Raises DeviceBusy, NoDevice."""
    from edgedeploy.benchmarks.devices import open_device, use_device

    opened = open_device(device)
    with use_device(opened):
        there = [name for name in opened.list() if name != "lock"]
        opened.remove("")
    return there


def build_runners(abi: str, reporter: Reporter | None = None) -> list[dict[str, Any]]:
    """Builds the runner's bundle for each runtime. Raises MissingExtra, or RunnerFailed with what to install."""
    from edgedeploy.android_harness.bundles import build_bundle
    from edgedeploy.android_harness.toolchain import ABIS
    from edgedeploy.core.backends import BACKENDS

    if abi not in ABIS:
        raise UsageError(f"--abi {abi}: the choice is {' or '.join(ABIS)}")
    reporter = reporter or NullReporter()
    rows = []
    for backend in BACKENDS:
        with reporter.stage(f"build the {backend.runtime} runner for {abi}"):
            bundle = build_bundle(backend.runtime, abi)
        rows.append(
            {
                "runtime": bundle.runtime,
                "version": bundle.version,
                "abi": bundle.abi,
                "size_bytes": sum(file.stat().st_size for file in bundle.files()),
                "folder": str(bundle.folder),
            }
        )
    return rows
