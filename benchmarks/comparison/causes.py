"""What may have made a row slower: operators, rewrites, versions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgedeploy.core.measurement import Measurement

SHOWN = 5
NUMBER = re.compile(r" #\d+$")  # XNNPACK counts operators of a kind: one more gives all later ones another name
LEAST_SHARE = 0.01  # of the whole, for an operator's change to be named


def find_causes(base: Measurement, head: Measurement) -> tuple[str, ...]:
    """Operators whose cost changed, rewrites that were applied in one and not in the other, versions that differ."""
    return (*_operators(base, head), *_rewrites(base.rewrites, head.rewrites), *_versions(base, head))


@dataclass(frozen=True)
class _Costs:
    """What each operator costs in one inference, by name and type.

    Attributes:
        unit: "ms" or "M instructions", which are a million of what `costs` counts.
    """

    unit: str
    costs: Mapping[tuple[str, str], float]


def _operators(base: Measurement, head: Measurement) -> Iterator[str]:
    old, new = _costs_of(base), _costs_of(head)
    if old is None or new is None or old.unit != new.unit:
        return
    whole = sum(old.costs.values()) or 1.0
    changes = {key: new.costs.get(key, 0.0) - old.costs.get(key, 0.0) for key in {**old.costs, **new.costs}}
    both = set(old.costs) & set(new.costs)
    # New and gone ones first: they are certain, while on a busy machine any time may have grown.
    for key, change in sorted(changes.items(), key=lambda found: (found[0] in both, -abs(found[1])))[:SHOWN]:
        if abs(change) >= LEAST_SHARE * whole:
            name, kind = key
            what = "is new" if key not in old.costs else "is gone" if key not in new.costs else "changed"
            amount = f"{change / 1e6:+.3g} {old.unit}, {change / whole:+.1%} of the inference"
            yield f"operator {name} ({kind}) {what}: {amount}"


def _costs_of(row: Measurement) -> _Costs | None:
    """From the instruction profile, else from the time of each operator; None without a profile."""
    costs: dict[tuple[str, str], float] = {}
    if row.instruction_profile is not None:
        for counted in row.instruction_profile.operators:
            key = NUMBER.sub("", counted.name), counted.type
            costs[key] = costs.get(key, 0.0) + counted.instructions
        return _Costs("M instructions", costs)
    if row.profile is None or not row.profile.operators or row.device.emulated:
        return None
    for timed in row.profile.operators:
        key = NUMBER.sub("", timed.name), timed.type
        costs[key] = costs.get(key, 0.0) + timed.total_ns / max(row.profile.runs, 1)
    return _Costs("ms", costs)


def _rewrites(old: Mapping[str, int], new: Mapping[str, int]) -> Iterator[str]:
    for name in {**old, **new}:
        before, after = old.get(name, 0), new.get(name, 0)
        if before != after:
            yield f"rewrite {name} was applied {before} times in base, {after} times in head"


def _versions(base: Measurement, head: Measurement) -> Iterator[str]:
    for name in sorted({**base.made_with, **head.made_with}):
        before, after = base.made_with.get(name, "none"), head.made_with.get(name, "none")
        if before != after and base.made_with and head.made_with:
            yield f"made with {name} {before} in base, {after} in head"
    if base.runtime_version != head.runtime_version:
        yield f"runtime {base.runtime} {base.runtime_version} in base, {head.runtime_version} in head"
