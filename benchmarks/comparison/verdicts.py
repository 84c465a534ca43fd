"""Each row of two sets of measurements: faster, same, slower or unknown.

A row is slower or faster where the difference is significant after the correction for the number of rows, and larger than
what the doubts about either measurement can explain. It is the same where two one-sided tests, each at the false-alarm
rate, exclude a change of more than the margin; where no history says how much two sessions differ, it is assumed to be more
than two launches do. Else it is unknown, and says why: an unknown change is never reported as none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgedeploy.benchmarks.statistics.comparison import QUANTILES, difference, significant
from edgedeploy.benchmarks.statistics.launches import levels
from edgedeploy.benchmarks.statistics.noise import FALSE_ALARM_RATE, RowNoise, Spread
from edgedeploy.benchmarks.statistics.sustained import compare_periods
from edgedeploy.benchmarks.statistics.trust import judge, launches_of
from edgedeploy.core.errors import ContextsDiffer, UsageError
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.comparison import (
    Comparison,
    Difference,
    RowComparison,
    RowKey,
    RowVerdict,
    metric_of,
)
from edgedeploy.core.results.verdict import Doubt

from .budgets import Budget, check_budgets, idle_budgets
from .causes import find_causes
from .gates import Gates, check_gates
from .rows import context_differences, match_rows

MARGIN = 0.05


@dataclass(frozen=True)
class ComparisonOptions:
    """How two sets of measurements are compared.

    Attributes:
        metric: "median" or "p90"; None for the figure of a row's protocol, which is p90 for "mlperf", else the median.
        false_alarm_rate: of one comparison of equal measurements, over all its rows.
        margin: a change of less does not matter.
        force: compare rows of different devices or conditions too, marked.
        gates, budgets: limits for the figures beside the latency, and for the rows of head.
        noise: the noise models of a row; the cautious default for those that are not in it.
    """

    metric: str | None = None
    false_alarm_rate: float = FALSE_ALARM_RATE
    margin: float = MARGIN
    force: bool = False
    gates: Gates = field(default_factory=Gates)
    budgets: Sequence[Budget] = ()
    noise: Mapping[RowKey, RowNoise] = field(default_factory=dict)


@dataclass(frozen=True)
class _Pair:
    key: RowKey
    base: Measurement
    head: Measurement
    context: tuple[str, ...]
    found: Difference | None = None
    spread: Spread | None = None
    caution: Spread | None = None  # the spread for the verdict "same"
    doubts: tuple[tuple[str, Doubt], ...] = ()  # each with "base" or "head"


def compare_measurements(
    base: Sequence[Measurement], head: Sequence[Measurement], options: ComparisonOptions, names: tuple[str, str]
) -> Comparison:
    """Compares the rows that both have. `names` are those of base and head, for messages.

    Raises ContextsDiffer without `force`, UsageError where no row is in both.
    """
    matched = match_rows(base, head, names)
    pairs = [_Pair(key, *both, context_differences(*both)) for key, both in matched.pairs.items()]
    if not pairs:
        raise UsageError(
            f"{names[0]} and {names[1]} have no row in common",
            details=[
                f"{name} has {', '.join(str(matched.named(key)) for key in keys) or 'no rows'}"
                for name, keys in zip(names, (matched.only_in_base, matched.only_in_head), strict=True)
            ],
            hint="a row is model, target, threads, and whether instructions or time was measured",
        )
    if not options.force:
        _check_contexts(pairs)
    measured = [_measure(pair, options) for pair in pairs]
    timed = [pair for pair in measured if pair.found and not pair.key.counted]
    marks = significant([pair.found.p_value for pair in timed if pair.found], options.false_alarm_rate)
    alarms = {pair.key for pair, is_alarm in zip(timed, marks, strict=True) if is_alarm}
    rate = options.false_alarm_rate / max(len(timed), 1)
    return Comparison(
        base=names[0],
        head=names[1],
        rows=tuple(
            replace(_row(pair, pair.key in alarms, rate, options), key=matched.named(pair.key)) for pair in measured
        ),
        false_alarm_rate=options.false_alarm_rate,
        margin=options.margin,
        only_in_base=tuple(str(matched.named(key)) for key in matched.only_in_base),
        only_in_head=tuple(str(matched.named(key)) for key in matched.only_in_head),
        budgets=check_budgets(head, options.budgets),
        idle_budgets=idle_budgets(head, options.budgets),
        noise={
            str(matched.named(pair.key)): options.noise[pair.key].of(_metric(pair.head, options)).measurements
            for pair in pairs
            if pair.key in options.noise
        },
    )


def _check_contexts(pairs: Sequence[_Pair]) -> None:
    differences = dict.fromkeys(text for pair in pairs for text in pair.context)
    if differences:
        raise ContextsDiffer(
            "the measurements were not made under the same conditions, so a difference would say nothing",
            details=list(differences),
            hint="measure both in the same way, or --force to compare them all the same",
        )


def _measure(pair: _Pair, options: ComparisonOptions) -> _Pair:
    base, head = pair.base, pair.head
    if base.instructions and head.instructions:
        old, new = base.instructions.total, head.instructions.total
        change = new / old - 1
        certain = Difference("instructions", old, new, change, change, change, float(new == old), smallest_change=0.0)
        return replace(pair, found=certain)
    if not base.samples_ns or not head.samples_ns:
        return pair
    old_launches, new_launches = launches_of(base), launches_of(head)
    metric, noise = _metric(head, options), options.noise.get(pair.key, RowNoise())
    found, spread = difference(old_launches, new_launches, metric, noise)
    doubts = [
        (side, doubt)
        for side, row, split in zip(("base", "head"), (base, head), (old_launches, new_launches), strict=True)
        for doubt in judge(row, split).doubts
    ]
    groups = [levels(launches, QUANTILES[metric]) for launches in (old_launches, new_launches)]
    caution = noise.of(metric).cautious(*groups).spread(*groups)
    return replace(pair, found=found, spread=spread, caution=caution, doubts=tuple(doubts))


def _metric(row: Measurement, options: ComparisonOptions) -> str:
    return options.metric or metric_of(row.protocol)


def _row(pair: _Pair, is_alarm: bool, rate: float, options: ComparisonOptions) -> RowComparison:
    verdict, reason = _verdict(pair, is_alarm, rate, options)
    row = RowComparison(
        pair.key, verdict, pair.found, reason, check_gates(pair.base, pair.head, options.gates), pair.context
    )
    if pair.base.sustained and pair.head.sustained:
        row = replace(row, periods=compare_periods(pair.base.samples_ns, pair.head.samples_ns))
    return replace(row, causes=find_causes(pair.base, pair.head)) if row.regressed or verdict == "faster" else row


def _verdict(pair: _Pair, is_alarm: bool, rate: float, options: ComparisonOptions) -> tuple[RowVerdict, str]:
    found, spread = pair.found, pair.spread
    if found is None:
        return "unknown", "one of them has no samples"
    direction: RowVerdict = "slower" if found.change > 0 else "faster"
    if spread is None or pair.caution is None:
        return (direction if abs(found.change) > options.gates.instructions else "same"), ""
    doubts = pair.doubts
    doubted = "; ".join(f"{side}: {doubt.reason}" for side, doubt in doubts)
    explained = sum(
        max((doubt.size or 0.0 for of, doubt in doubts if of == side), default=0.0) for side in ("base", "head")
    )
    certain = all(doubt.size is not None for _, doubt in doubts)
    surely = abs(math.log1p(found.change)) - spread.half_width(rate) if doubts else math.inf
    if is_alarm and certain and surely > explained:
        return direction, ""
    if doubts:
        return "unknown", f"not trustworthy ({doubted})"
    reach = math.expm1(abs(math.log1p(found.change)) + pair.caution.half_width(2 * rate))
    if reach <= options.margin:
        return "same", ""
    advice = "measure both in turns (bench BASE HEAD --interleave), or keep a history of repeated measurements"
    return "unknown", f"a change of up to {reach:.1%} cannot be excluded: {advice}"
