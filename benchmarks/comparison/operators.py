"""Which operators of two profiles became more expensive, are new, or are gone.

Operators are matched one by one, in the order of execution: a network has many of a kind, and a runtime may give them one
name, or number them, so that one more gives all later ones another number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from edgedeploy.core.measurement import Measurement

SHOWN = 5
NUMBER = re.compile(r" #\d+$")  # which XNNPACK gives
LEAST_SHARE = {"ms": 0.01, "M instructions": 0.0005}  # of the whole, for a change to be named: counts repeat


@dataclass(frozen=True)
class _Operator:
    """One operator of a profile.

    Attributes:
        cost: of one inference, in ns or instructions.
        module: its path in the original network; "" where it is not known.
    """

    name: str
    type: str
    cost: float
    module: str = ""

    @property
    def kind(self) -> tuple[str, str]:
        """What it has in common with its counterpart in another profile."""
        return NUMBER.sub("", self.name), self.type

    def __str__(self) -> str:
        of_type = "" if self.type in self.name else f" ({self.type})"
        return f"{self.name}{of_type}{f' of {self.module}' if self.module else ''}"


@dataclass(frozen=True)
class _Profile:
    """The operators in their order. `unit` is "ms" or "M instructions", which are a million of what they cost."""

    unit: str
    operators: Sequence[_Operator]


@dataclass(frozen=True)
class _Change:
    """An operator in both profiles; None where it is new, or gone."""

    old: _Operator | None
    new: _Operator | None

    @property
    def cost(self) -> float:
        """By how much it became more expensive."""
        return (self.new.cost if self.new else 0.0) - (self.old.cost if self.old else 0.0)

    @property
    def certain(self) -> bool:
        """New and gone ones are, while on a busy machine any time may have grown."""
        return self.old is None or self.new is None


def operator_changes(base: Measurement, head: Measurement) -> Iterator[str]:
    """One line for each operator that changed, the most certain and largest first; then kinds that changed in small parts.

    None where one of them has no profile.
    """
    old, new = _profile_of(base), _profile_of(head)
    if old is None or new is None or old.unit != new.unit:
        return
    whole = sum(operator.cost for operator in old.operators) or 1.0
    least = LEAST_SHARE[old.unit] * whole

    def amount(change: float) -> str:
        return f"{change / 1e6:+.3g} {old.unit}, {change / whole:+.2%} of the inference"

    changes = sorted(_matched(old.operators, new.operators), key=lambda found: (not found.certain, -abs(found.cost)))
    large = [found for found in changes if abs(found.cost) >= least][:SHOWN]
    for found in large:
        what = "is new" if found.old is None else "is gone" if found.new is None else "changed"
        yield f"operator {found.new or found.old} {what}: {amount(found.cost)}"
    kinds: dict[str, list[float]] = {}
    for found in changes:
        operator = found.new or found.old
        if found not in large and found.cost and operator:
            kinds.setdefault(operator.type, []).append(found.cost)
    sums = {kind: sum(costs) for kind, costs in kinds.items() if len(costs) > 1}
    for kind in sorted(sums, key=lambda kind: -abs(sums[kind]))[: SHOWN - len(large)]:
        if abs(sums[kind]) >= least:
            others = f"{len(kinds[kind])} {'other ' if large else ''}operators {kind}"
            yield f"{others} changed, each by little: {amount(sums[kind])}"


def _matched(old: Sequence[_Operator], new: Sequence[_Operator]) -> list[_Change]:
    """Each operator with its counterpart: by module and kind, then by kind where one profile has no module for it."""
    found, left, right = _aligned(old, new, lambda operator: (operator.kind, operator.module))
    if any(not operator.module for operator in (*left, *right)):
        again, left, right = _aligned(left, right, lambda operator: operator.kind)
        for pair in again:
            both_known = pair.old and pair.new and pair.old.module and pair.new.module
            found += [_Change(pair.old, None), _Change(None, pair.new)] if both_known else [pair]
    return [*found, *(_Change(operator, None) for operator in left), *(_Change(None, operator) for operator in right)]


def _aligned(
    old: Sequence[_Operator], new: Sequence[_Operator], key: Callable[[_Operator], Hashable]
) -> tuple[list[_Change], list[_Operator], list[_Operator]]:
    """The operators with one key at one place of the order, then those at another place; and what is left of each side."""
    blocks = SequenceMatcher(None, [*map(key, old)], [*map(key, new)], autojunk=False).get_matching_blocks()
    pairs = [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]
    used_old, used_new = {first for first, _ in pairs}, {second for _, second in pairs}
    moved: dict[Hashable, list[int]] = {}
    for index, operator in enumerate(old):
        if index not in used_old:
            moved.setdefault(key(operator), []).append(index)
    for index, operator in enumerate(new):
        if index not in used_new and moved.get(key(operator)):
            pairs.append((moved[key(operator)].pop(0), index))
    used_old, used_new = {first for first, _ in pairs}, {second for _, second in pairs}
    return (
        [_Change(old[first], new[second]) for first, second in pairs],
        [operator for index, operator in enumerate(old) if index not in used_old],
        [operator for index, operator in enumerate(new) if index not in used_new],
    )


def _profile_of(row: Measurement) -> _Profile | None:
    """The instruction profile, else the time of each operator; None without a profile."""
    if row.instruction_profile is not None:
        counted = row.instruction_profile.operators
        return _Profile(
            "M instructions", [_Operator(found.name, found.type, found.instructions, found.module) for found in counted]
        )
    if row.profile is None or not row.profile.operators or row.device.emulated:
        return None
    runs = max(row.profile.runs, 1)
    return _Profile("ms", [_Operator(found.name, found.type, found.total_ns / runs) for found in row.profile.operators])
