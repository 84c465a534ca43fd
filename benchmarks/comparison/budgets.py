"""Budgets: limits that a measurement is held to, whatever it was before. The table [budgets] of edgedeploy.toml:

[budgets]
"topformer-tiny/tflite-int8 on pixel7" = "p90 <= 35 ms"
"topformer-tiny/tflite-int8" = ["size <= 2 MiB", "sqnr >= 30 dB"]

A budget is kept, exceeded, or unknown: where the figure was not measured, or where no row is about it. Unknown is never
reported as kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from edgedeploy.benchmarks.statistics.summary import least_samples
from edgedeploy.core.device import DeviceInfo
from edgedeploy.core.errors import UnknownName, UsageError
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.comparison import GateResult, IdleBudget

UNITS: Mapping[str, Mapping[str, float]] = {
    "time": {"ns": 1.0, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9},
    "memory": {"B": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30},
    "count": {"M": 1e6, "G": 1e9},
    "ratio": {"dB": 1.0},
}
RULE = re.compile(r"\s*(\w+)\s*(<=|>=)\s*(\d+(?:\.\d+)?|\.\d+)\s*([^\d\s.]\S*)?\s*")
EXAMPLE = '"topformer-tiny/tflite-int8 on pixel7" = "p90 <= 35 ms"'


@dataclass(frozen=True)
class _Metric:
    """A figure that can have a budget.

    Attributes:
        quantity: a key of UNITS.
        shown: the unit that messages have.
        read: the figure in ns, bytes, instructions or dB; None where it was not measured.
    """

    quantity: str
    shown: str
    read: Callable[[Measurement], float | None]


METRICS: Mapping[str, _Metric] = {
    "median": _Metric("time", "ms", lambda row: row.latency_ns.median if row.latency_ns else None),
    "p90": _Metric("time", "ms", lambda row: row.latency_ns.p90 if row.latency_ns else None),
    "p99": _Metric("time", "ms", lambda row: row.latency_ns.p99 if row.latency_ns else None),
    "load": _Metric("time", "ms", lambda row: row.load_ns),
    "first": _Metric("time", "ms", lambda row: row.first_inference_ns),
    "memory": _Metric("memory", "MiB", lambda row: row.peak_rss_bytes),
    "size": _Metric("memory", "MiB", lambda row: row.size_bytes),
    "instructions": _Metric("count", "M", lambda row: row.instructions.total if row.instructions else None),
    "sqnr": _Metric("ratio", "dB", lambda row: row.parity.sqnr if row.parity else None),
}
OF_THE_FILE = ("size", "sqnr")  # the same whether time or instructions were measured


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
        unit = METRICS[self.metric].shown
        where = f" on {self.device}" if self.device else ""
        limit = f"{_in_unit(self.limit, self.metric):g} {unit}"
        return f"{self.model}/{self.target}{where}: {self.metric} {'<=' if self.at_most else '>='} {limit}"


def parse_budgets(table: Mapping[str, str | Sequence[str]], where: str = "edgedeploy.toml") -> list[Budget]:
    """The budgets of a table. `where` is the file, for messages. Raises UsageError, UnknownName."""
    return [
        _parse(name, rule, where)
        for name, rules in table.items()
        for rule in ([rules] if isinstance(rules, str) else rules)
    ]


def _parse(name: str, rule: str, where: str) -> Budget:
    artifact, _, device = name.partition(" on ")
    model, slash, target = artifact.strip().partition("/")
    matched = RULE.fullmatch(rule) if isinstance(rule, str) else None
    what = f"the budget {name!r} = {rule!r} in {where}"
    if not slash or matched is None:
        raise UsageError(f"{what} cannot be read", hint=f"write it like this: {EXAMPLE}")
    metric, relation, number, unit = matched.groups()
    if metric not in METRICS:
        raise UnknownName(f"figure in a budget of {where}", metric, METRICS, hint=f"one of {', '.join(METRICS)}")
    units = UNITS[METRICS[metric].quantity]
    if unit not in units:
        has = f"has the unit {unit!r}" if unit else "has no unit"
        raise UsageError(f"{what} {has}; {metric} is given in {' or '.join(units)}", hint=f"such as {EXAMPLE}")
    return Budget(model, target, device.strip(), metric, relation == "<=", float(number) * units[unit])


def check_budgets(rows: Sequence[Measurement], budgets: Sequence[Budget]) -> tuple[GateResult, ...]:
    """Each budget against the rows that it is about. One whose figure was not measured is not judged."""
    results = (_check(row, budget) for budget in budgets for row in rows if _is_about(budget, row))
    return tuple(dict.fromkeys(results))  # rows that differ in threads only have one size


def idle_budgets(rows: Sequence[Measurement], budgets: Sequence[Budget]) -> tuple[IdleBudget, ...]:
    """The budgets that no row is about, each with the reason."""
    return tuple(_idle(budget, rows) for budget in budgets if not any(_is_about(budget, row) for row in rows))


def _check(row: Measurement, budget: Budget) -> GateResult:
    metric = METRICS[budget.metric]
    value = metric.read(row)
    if value is None:
        return GateResult(str(budget), True, f"unknown, {_why_not_measured(row, budget.metric)}", judged=False)
    passed = value <= budget.limit if budget.at_most else value >= budget.limit
    return GateResult(str(budget), passed, f"{_in_unit(value, budget.metric):.4g} {metric.shown}")


def _why_not_measured(row: Measurement, metric: str) -> str:
    if metric == "p99" and row.latency_ns:
        least = least_samples(0.99)
        return f"p99 takes {least} samples and the row has {row.latency_ns.count}: measure longer, --num-runs {least}"
    if metric == "sqnr":
        return "the outputs were not compared with stored ones"
    return f"{metric} was not measured on {row.device.display_name or row.device.name}"


def _idle(budget: Budget, rows: Sequence[Measurement]) -> IdleBudget:
    artifact = f"{budget.model}/{budget.target}"
    of_artifact = [row for row in rows if f"{row.model}/{row.target}" == artifact]
    if not of_artifact:
        known = {f"{row.model}/{row.target}": None for row in rows}
        return IdleBudget(str(budget), f"no row is of {artifact}; {_near(artifact, known)}", artifact_measured=False)
    if not any(_is_on(budget.device, row.device) for row in of_artifact):
        known = {name: None for row in of_artifact for name in (row.device.display_name, row.device.name) if name}
        return IdleBudget(str(budget), f"it was not measured on {budget.device}; {_near(budget.device, known)}")
    counted = (
        "no instructions were counted" if budget.metric == "instructions" else "instructions were counted, no time"
    )
    return IdleBudget(str(budget), counted)


def _near(name: str, known: Iterable[str]) -> str:
    """What the name may have been meant to be, else what there is."""
    plain = {_plain(text): text for text in known}
    near = [plain[found] for found in get_close_matches(_plain(name), plain, n=3, cutoff=0.6)]
    if near:
        return f"did you mean {' or '.join(near)}?"
    shown = list(plain.values())
    return f"there is {', '.join(shown[:5])}{' ...' if len(shown) > 5 else ''}"


def _is_about(budget: Budget, row: Measurement) -> bool:
    fits = budget.metric in OF_THE_FILE or (budget.metric == "instructions") == bool(row.instructions)
    return (row.model, row.target) == (budget.model, budget.target) and _is_on(budget.device, row.device) and fits


def _is_on(name: str, device: DeviceInfo) -> bool:
    names = (device.name, device.kind, device.serial, device.model, device.product)
    return not name or _plain(name) in {_plain(known or "") for known in names}


def _in_unit(value: float, metric: str) -> float:
    found = METRICS[metric]
    return value / UNITS[found.quantity][found.shown]


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
