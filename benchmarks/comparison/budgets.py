"""Budgets: limits that a measurement is held to, whatever it was before. The table [budgets] of edgedeploy.toml:

[budgets]
"topformer-tiny/tflite-int8 on pixel7" = "p90 <= 35 ms"
"topformer-tiny/tflite-int8" = ["size <= 2 MiB", "sqnr >= 30 dB"]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgedeploy.core.errors import UnknownName, UsageError
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.comparison import GateResult

UNITS = {"ns": 1.0, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "M": 1e6, "dB": 1.0}
RULE = re.compile(r"\s*(\w+)\s*(<=|>=)\s*([0-9.]+)\s*(\S*)\s*")
EXAMPLE = '"topformer-tiny/tflite-int8 on pixel7" = "p90 <= 35 ms"'

METRICS: Mapping[str, tuple[str, Callable[[Measurement], float | None]]] = {
    "median": ("ms", lambda row: row.latency_ns.median if row.latency_ns else None),
    "p90": ("ms", lambda row: row.latency_ns.p90 if row.latency_ns else None),
    "p99": ("ms", lambda row: row.latency_ns.p99 if row.latency_ns else None),
    "load": ("ms", lambda row: row.load_ns),
    "first": ("ms", lambda row: row.first_inference_ns),
    "memory": ("MiB", lambda row: row.peak_rss_bytes),
    "size": ("MiB", lambda row: row.size_bytes),
    "instructions": ("M", lambda row: row.instructions.total if row.instructions else None),
    "sqnr": ("dB", lambda row: row.parity.sqnr if row.parity else None),
}


@dataclass(frozen=True)
class Budget:
    """A limit of one figure of one artifact.

    Attributes:
        device: as a person says it, such as "pixel7"; "" for every device.
        limit: in ns, bytes, instructions or dB.
    """

    model: str
    target: str
    device: str
    metric: str
    at_most: bool
    limit: float

    def __str__(self) -> str:
        unit = METRICS[self.metric][0]
        where = f" on {self.device}" if self.device else ""
        limit = f"{self.limit / UNITS[unit]:g} {unit}"
        return f"{self.model}/{self.target}{where}: {self.metric} {'<=' if self.at_most else '>='} {limit}"


def parse_budgets(table: Mapping[str, str | Sequence[str]]) -> list[Budget]:
    """The budgets of a table. Raises UsageError, UnknownName."""
    return [
        _parse(name, rule) for name, rules in table.items() for rule in ([rules] if isinstance(rules, str) else rules)
    ]


def _parse(name: str, rule: str) -> Budget:
    artifact, _, device = name.partition(" on ")
    model, slash, target = artifact.strip().partition("/")
    matched = RULE.fullmatch(rule) if isinstance(rule, str) else None
    if not slash or matched is None:
        raise UsageError(f"the budget {name!r} = {rule!r} cannot be read", hint=EXAMPLE)
    metric, relation, number, unit = matched.groups()
    if metric not in METRICS:
        raise UnknownName("figure in a budget", metric, METRICS, hint=f"one of {', '.join(METRICS)}")
    if unit not in UNITS:
        raise UnknownName("unit in a budget", unit, UNITS, hint=EXAMPLE)
    return Budget(model, target, _plain(device), metric, relation == "<=", float(number) * UNITS[unit])


def check_budgets(rows: Sequence[Measurement], budgets: Sequence[Budget]) -> tuple[GateResult, ...]:
    """Each budget against the rows that it is about."""
    return tuple(_check(row, budget) for budget in budgets for row in rows if _is_about(budget, row))


def _check(row: Measurement, budget: Budget) -> GateResult:
    unit, read = METRICS[budget.metric]
    value = read(row)
    if value is None:
        return GateResult(str(budget), True, "not measured")
    passed = value <= budget.limit if budget.at_most else value >= budget.limit
    return GateResult(str(budget), passed, f"{value / UNITS[unit]:.4g} {unit}")


def _is_about(budget: Budget, row: Measurement) -> bool:
    device = row.device
    names = {_plain(name or "") for name in (device.name, device.kind, device.serial, device.model, device.product)}
    named = not budget.device or budget.device in names
    of_counts = budget.metric == "instructions"
    return (row.model, row.target) == (budget.model, budget.target) and named and of_counts == bool(row.instructions)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
