"""clean: remove from a device what edgedeploy has put there."""

from __future__ import annotations


def clean(device: str) -> list[str]:
    """Removes all files that edgedeploy keeps on a device, and returns their names. Raises DeviceBusy, NoDevice."""
    from edgedeploy.benchmarks.devices import open_device, use_device

    opened = open_device(device)
    with use_device(opened):
        files = [name for name in opened.list() if name != "lock"]
        opened.remove("")
    return files
