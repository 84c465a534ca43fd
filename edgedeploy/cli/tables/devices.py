"""Tables of the commands devices, runner and doctor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .layout import PLAIN, Layout
from .text import mebibytes, new_table, render_table

if TYPE_CHECKING:
    from edgedeploy.pipeline.devices import DeviceRow
    from edgedeploy.pipeline.doctor import Check
    from edgedeploy.pipeline.runner import RunnerBundle

MARKS = {True: "ok", False: "bad", None: "-"}


def render_devices(rows: Sequence[DeviceRow], layout: Layout = PLAIN) -> str:
    """What `--device` takes."""
    table = new_table("device", "description", "state", "aliases")
    for row in rows:
        table.add_row(row.device, row.description, row.state, ", ".join(row.aliases))
    return render_table(table, layout)


def render_bundles(rows: Sequence[RunnerBundle], layout: Layout = PLAIN) -> str:
    """The runners that are built."""
    table = new_table("runtime", "version", "abi", ">size MiB", "folder")
    for row in rows:
        table.add_row(row.runtime, row.version, row.abi, mebibytes(row.size_bytes, 1), row.folder)
    return render_table(table, layout)


def render_checks(rows: Sequence[Check], layout: Layout = PLAIN) -> str:
    """What doctor found."""
    table = new_table("", "name", "found", "what to do")
    for row in rows:
        table.add_row(MARKS[row.ok], row.name, row.found, row.hint)
    return render_table(table, layout)
