"""What may have made a row slower: operators, rewrites, versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgedeploy.core.measurement import Measurement, Profile

SHOWN = 5
LEAST_SHARE = 0.01  # of the whole, for an operator's change to be named


def find_causes(base: Measurement, head: Measurement) -> tuple[str, ...]:
    """Operators whose cost changed, rewrites that were applied in one and not in the other, versions that differ."""
    return (*_operators(base, head), *_rewrites(base.rewrites, head.rewrites), *_versions(base, head))


def _operators(base: Measurement, head: Measurement) -> Iterator[str]:
    if not (base.profile and head.profile and base.profile.operators and head.profile.operators):
        return
    old, new = _costs(base.profile), _costs(head.profile)
    whole = sum(cost for cost, _ in old.values()) or 1.0
    changes = []
    for name in {**old, **new}:
        (before, type_before), (after, type_after) = old.get(name, (0.0, "")), new.get(name, (0.0, ""))
        changes.append((after - before, name, type_after or type_before, name in old, name in new))
    for change, name, kind, was, is_ in sorted(changes, key=lambda found: -abs(found[0]))[:SHOWN]:
        if abs(change) >= LEAST_SHARE * whole:
            what = "changed" if was and is_ else "is new" if is_ else "is gone"
            yield f"operator {name} ({kind}) {what}: {change / 1e6:+.3f} ms, {change / whole:+.1%} of the inference"


def _costs(profile: Profile) -> dict[str, tuple[float, str]]:
    """The mean time of each operator in one inference, in ns, with its type."""
    costs: dict[str, tuple[float, str]] = {}
    for operator in profile.operators:
        cost, _ = costs.get(operator.name, (0.0, ""))
        costs[operator.name] = (cost + operator.total_ns / max(profile.runs, 1), operator.type)
    return costs


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
