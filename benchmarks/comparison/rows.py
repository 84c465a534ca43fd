"""The rows of two sets of measurements, and the context that both must share."""

from __future__ import annotations

from collections.abc import Iterable

from edgedeploy.core.errors import UsageError
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.comparison import RowKey


def key_of(row: Measurement) -> RowKey:
    """What a row is matched by."""
    return RowKey(row.model, row.target, row.threads, row.instructions is not None)


def by_key(rows: Iterable[Measurement], what: str) -> dict[RowKey, Measurement]:
    """The rows by what they are matched by. Raises UsageError where two have the same."""
    found: dict[RowKey, Measurement] = {}
    for row in rows:
        key = key_of(row)
        if key in found:
            raise UsageError(
                f"{what} has two rows of {key}, on {found[key].device.name} and {row.device.name}",
                hint="compare files of one bench each",
            )
        found[key] = row
    return found


def context_of(row: Measurement) -> dict[str, str]:
    """What must be equal for two rows to be comparable, by name. An instruction count depends on little of it."""
    device = row.device
    shared = {
        "device": device.name if device.kind == "qemu" else f"{device.kind} {device.serial or device.display_name}",
        "runtime": f"{row.runtime} {row.runtime_version}",
        "input size": " ".join("x".join(map(str, shape)) for shape in row.input_shapes),
    }
    if row.instructions is not None:
        return shared
    governors = (row.state_before.governors if row.state_before else None) or {}
    mode = [f"{entry.name} {entry.outcome}" for entry in row.condition_log if entry.outcome == "done"]
    return shared | {
        "model": device.display_name,
        "chip": device.soc or "",
        "system": device.display_os,
        "build": device.build or "",
        "kernel": device.kernel or "",
        "highest clock frequencies": " ".join(f"{core.max_khz or '?'}" for core in device.cores),
        "governors": " ".join(sorted(set(governors.values()))),
        "cores": "all" if row.cpu_mask is None else f"{row.cpu_mask:x}",
        "mode": ", ".join(mode),
        "harness": row.harness,
        "protocol": row.protocol,
    }


def context_differences(base: Measurement, head: Measurement) -> tuple[str, ...]:
    """What differs, with both values."""
    old, new = context_of(base), context_of(head)
    return tuple(
        f"{name}: {old[name] or 'not known'} -> {new[name] or 'not known'}" for name in old if old[name] != new[name]
    )
