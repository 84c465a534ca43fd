"""Comparison: two sets of measurements, row by row, and what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgedeploy.core.device import DeviceInfo

from .sustained import PeriodChange

RowVerdict = Literal["faster", "same", "slower", "unknown"]
ANONYMOUS = "SERIAL"  # in the place of a serial number that was left out of a record
SCHEMA_VERSION = 1


def metric_of(protocol: str) -> str:
    """The figure that rows of a protocol are judged by: "p90" for mlperf, by its rules, else "median"."""
    return "p90" if protocol == "mlperf" else "median"


@dataclass(frozen=True)
class RowKey:
    """What makes two measurements rows of one comparison.

    Attributes:
        counted: executed instructions, not time.
        device: what people call the device, where rows of several are compared; else "".
    """

    model: str
    target: str
    threads: int
    counted: bool = False
    device: str = ""

    def __str__(self) -> str:
        how = "Arm instructions" if self.counted else counted(self.threads, "thread")
        return f"{self.model}/{self.target}, {how}{f' on {self.device}' if self.device else ''}"


def identity_of(device: DeviceInfo) -> str:
    """What makes it the same device in two runs: its serial number where it is known, else what it is."""
    serial = None if device.serial == ANONYMOUS else device.serial
    return device.name if device.kind == "qemu" else f"{device.kind} {serial or device.display_name}"


def may_be_one(first: DeviceInfo, second: DeviceInfo) -> bool:
    """Whether nothing tells two devices apart because a serial number was left out: a phone, and a replay of its record."""
    alike = (first.kind, first.display_name) == (second.kind, second.display_name)
    return alike and ANONYMOUS in (first.serial, second.serial)


def device_labels(devices: Iterable[DeviceInfo]) -> dict[str, str]:
    """By identity, what people call each device, with what `--device` takes where two have one name; {} for one device."""
    found = {identity_of(device): device for device in devices}
    if len(found) < 2:
        return {}
    names = [device.display_name or device.name for device in found.values()]
    return {
        identity: name if names.count(name) == 1 else f"{name} ({device.name})"
        for (identity, device), name in zip(found.items(), names, strict=True)
    }


@dataclass(frozen=True)
class Difference:
    """How the figure of a row changed.

    Attributes:
        metric: "median", "p90" or "instructions".
        base, head: in ns, or instructions.
        change: relative, of head to base.
        low, high: its 95 % interval; equal to `change` for counts, which repeat.
        p_value: probability of such a change between equal artifacts, before the correction for the number of rows.
        superiority: probability that a sample of head takes longer than one of base; 0.5 for equal ones.
        smallest_change: the smallest change that these two rows would have shown, 95 times in 100.
    """

    metric: str
    base: float
    head: float
    change: float
    low: float
    high: float
    p_value: float
    superiority: float = 0.5
    smallest_change: float = 0.0


@dataclass(frozen=True)
class GateResult:
    """A figure that is compared with a fixed threshold, or with a budget.

    Attributes:
        metric: "size", "load", "peak memory", "SQNR", or a budget's text.
        passed: False where the figure is worse than allowed.
        text: both figures and the change, in words; why there is no figure, where it was not `judged`.
        judged: False for a budget whose figure was not measured: it is neither kept nor exceeded.
    """

    metric: str
    passed: bool
    text: str
    judged: bool = True


@dataclass(frozen=True)
class IdleBudget:
    """A budget that no row of head is about: a name that is mistyped, or something that was not measured this time.

    Attributes:
        artifact_measured: its model and target are in head, on another device or with other figures.
    """

    budget: str
    reason: str
    artifact_measured: bool = True


@dataclass(frozen=True)
class RowComparison:
    """One row of a comparison.

    Attributes:
        reason: why the verdict is "unknown"; else "".
        gates: size, load time, memory and accuracy.
        context: the differences in device and conditions that `force` let through.
        causes: what may have caused a change, the largest first.
        periods: of two sustained runs, how the first and the last minute differ.
    """

    key: RowKey
    verdict: RowVerdict
    difference: Difference | None
    reason: str = ""
    gates: tuple[GateResult, ...] = ()
    context: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    periods: tuple[PeriodChange, ...] = ()

    def remarks(self) -> Iterator[str]:
        """What a reader must know beside the figures: that unlike conditions were compared, and the parts of a long run."""
        yield from (f"compared all the same: {text}" for text in self.context)
        yield from (str(period) for period in self.periods)

    @property
    def regressed(self) -> bool:
        """Whether it is slower, or a gate failed."""
        return self.verdict == "slower" or any(not gate.passed for gate in self.gates)


@dataclass(frozen=True)
class Comparison:
    """All rows of a comparison.

    Attributes:
        base, head: what was compared, as named.
        false_alarm_rate: how often a comparison of equal measurements has a row that is not "same" or "unknown".
        margin: a change within this is "same".
        only_in_base, only_in_head: rows without a partner.
        budgets: the limits of edgedeploy.toml that a row of head is held to.
        idle_budgets: those that no row of head is about.
        versions: packages whose version differs: name to "old -> new".
        noise: how many measurements the noise model of each row was learned from.
    """

    schema_version: int = field(default=SCHEMA_VERSION, kw_only=True)
    base: str
    head: str
    rows: tuple[RowComparison, ...]
    false_alarm_rate: float
    margin: float
    only_in_base: tuple[str, ...] = ()
    only_in_head: tuple[str, ...] = ()
    budgets: tuple[GateResult, ...] = ()
    idle_budgets: tuple[IdleBudget, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    noise: Mapping[str, int] = field(default_factory=dict)

    def count(self, verdict: RowVerdict) -> int:
        """How many rows have this verdict."""
        return sum(row.verdict == verdict for row in self.rows)

    @property
    def forced(self) -> int:
        """How many rows were compared although their device or conditions differ."""
        return sum(bool(row.context) for row in self.rows)

    @property
    def headline(self) -> str:
        """The outcome in one line."""
        found = list(self.regressions())
        counts = [f"{self.count(verdict)} {verdict}" for verdict in ("slower", "faster", "same", "unknown")]
        outcome = counted(len(found), "regression") if found else "no regression found"
        forced = f"; UNLIKE CONDITIONS in {counted(self.forced, 'row')} (--force)" if self.forced else ""
        unknown = len(list(self.unknown_budgets()))
        budgets = f"; {counted(unknown, 'budget')} unknown" if unknown else ""
        shown = ", ".join(text for text in counts if not text.startswith("0 "))
        return f"{outcome}: {counted(len(self.rows), 'row')}, {shown}{forced}{budgets}"

    def regressions(self) -> Iterator[str]:
        """One line for each regression: which row, how much, how sure."""
        for row in self.rows:
            if row.verdict == "slower" and row.difference:
                yield f"{row.key}: {describe(row.difference)}"
            yield from (f"{row.key}: {gate.metric} {gate.text}" for gate in row.gates if not gate.passed)
        yield from (f"budget {budget.metric}: {budget.text}" for budget in self.budgets if not budget.passed)

    def unknown_budgets(self) -> Iterator[str]:
        """One line for each budget that is neither kept nor exceeded, with the reason."""
        yield from (f"budget {budget.metric}: {budget.text}" for budget in self.budgets if not budget.judged)
        yield from (f"budget {found.budget}: unknown, {found.reason}" for found in self.idle_budgets)


def describe(found: Difference) -> str:
    """A difference in words: how much, and how sure."""
    word = "slower" if found.change > 0 else "faster"
    if found.metric == "instructions":
        return f"{abs(found.change):.2%} {'more' if found.change > 0 else 'fewer'} instructions, exactly counted"
    return (
        f"{abs(found.change):.1%} {word} ({found.low:+.1%} to {found.high:+.1%}), "
        f"{found.metric} {found.base / 1e6:.3f} -> {found.head / 1e6:.3f} ms, {_odds(found.p_value)}"
    )


def _odds(p_value: float) -> str:
    """A p-value as a person reads it."""
    return "p < 1 in a million" if p_value < 1e-6 else f"p = 1 in {1 / p_value:,.0f}"


def counted(number: int, noun: str) -> str:
    """A number of things: "1 row", "2 rows"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
