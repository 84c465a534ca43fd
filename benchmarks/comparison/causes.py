"""What may have made a row slower: operators, rewrites, versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgedeploy.core.measurement import Measurement

from .operators import operator_changes


def find_causes(base: Measurement, head: Measurement) -> tuple[str, ...]:
    """Operators whose cost changed, rewrites that were applied in one and not in the other, versions that differ."""
    return (*operator_changes(base, head), *_rewrites(base.rewrites, head.rewrites), *_versions(base, head))


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
