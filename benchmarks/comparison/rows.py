"""The rows of two sets of measurements, and the context that both must share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from edgedeploy.core.device import DeviceInfo
from edgedeploy.core.errors import UsageError
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.comparison import RowKey, device_labels, identity_of, may_be_one


def key_of(row: Measurement) -> RowKey:
    """What a row is matched by; the device in it by its identity."""
    return RowKey(row.model, row.target, row.threads, row.instructions is not None, identity_of(row.device))


@dataclass(frozen=True)
class Matched:
    """The rows of base and head, and which belong together.

    Attributes:
        pairs: by what the row of head is matched by.
        only_in_base, only_in_head: those without a partner.
        names: the device's name for people, by its identity; {} where there is one device.
    """

    pairs: Mapping[RowKey, tuple[Measurement, Measurement]]
    only_in_base: tuple[RowKey, ...]
    only_in_head: tuple[RowKey, ...]
    names: Mapping[str, str]

    def named(self, key: RowKey) -> RowKey:
        """The key as people read it: the device by name, where there are several."""
        return replace(key, device=self.names.get(key.device, ""))


def match_rows(base: Sequence[Measurement], head: Sequence[Measurement], names: tuple[str, str]) -> Matched:
    """The rows of both by device; those that are left where a serial number was left out. Where each has one row of a kind
    left, on unlike devices, these two are a pair, too: its contexts differ. Raises UsageError where a set has a row twice.
    """
    old, new = _by_key(base, names[0]), _by_key(head, names[1])
    partners = {key: key for key in old if key in new}
    for alike in (may_be_one, _any_two):
        left = _without(old, partners)
        right = _without(new, partners.values())
        of_kind: dict[RowKey, list[RowKey]] = {}
        for there in right:
            of_kind.setdefault(replace(there, device=""), []).append(there)
        pairs = [(here, there) for here in left for there in of_kind.get(replace(here, device=""), ())]
        pairs = [(here, there) for here, there in pairs if alike(left[here].device, right[there].device)]
        times = Counter(key for pair in pairs for key in (("base", pair[0]), ("head", pair[1])))
        partners |= {here: there for here, there in pairs if times["base", here] == times["head", there] == 1}
    return Matched(
        {partners[key]: (old[key], new[partners[key]]) for key in old if key in partners},
        tuple(_without(old, partners)),
        tuple(_without(new, partners.values())),
        device_labels(row.device for row in (*base, *head)),
    )


def _without(rows: Mapping[RowKey, Measurement], keys: Iterable[RowKey]) -> dict[RowKey, Measurement]:
    left_out = set(keys)
    return {key: row for key, row in rows.items() if key not in left_out}


def _any_two(_first: DeviceInfo, _second: DeviceInfo) -> bool:
    return True


def _by_key(rows: Iterable[Measurement], what: str) -> dict[RowKey, Measurement]:
    found: dict[RowKey, Measurement] = {}
    for row in rows:
        key = key_of(row)
        if key in found:
            raise UsageError(
                f"{what} has two rows of {replace(key, device=row.device.display_name)}",
                hint="compare files of one bench each; what was measured in turns is compared already: edgedeploy report",
            )
        found[key] = row
    return found


def context_of(row: Measurement) -> dict[str, str]:
    """What must be equal for two rows to be comparable, by name. An instruction count depends on little of it."""
    device = row.device
    shared = {
        "device": identity_of(device),
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
    if may_be_one(base.device, head.device):
        old["device"] = new["device"]
    return tuple(
        f"{name}: {old[name] or 'not known'} -> {new[name] or 'not known'}" for name in old if old[name] != new[name]
    )
