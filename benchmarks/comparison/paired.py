"""The verdict on two artifacts that were launched in turns.

The order within a block is random, so a machine that drifts makes the differences larger and none of them one-sided: a
verdict of slower or faster stands whatever the canary did. "Same" claims that nothing was there to see, so it also needs a
machine that did not change.

Two figures are tested, each at half the false-alarm rate: the median, and the tenth percentile of a launch. On a machine
with other load the medians of two launches differ by whole time slices, while the fastest tenth ran undisturbed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgedeploy.benchmarks.statistics.noise import FALSE_ALARM_RATE
from edgedeploy.benchmarks.statistics.paired import PairedDifferences
from edgedeploy.benchmarks.statistics.shape import trend
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.paired import Canary, PairedComparison, PairedFigure, PairedVerdict

from .causes import find_causes
from .verdicts import MARGIN

LEAST_CHANGE = 0.005  # a smaller difference may be where the file lies in memory, and is never called slower or faster
MOVED = 0.05  # of the canary, before and after a block
FIGURES = {"p10": 0.1, "median": 0.5}  # of the samples of a launch
MOVED_SHARE = 1 / 3  # of the blocks: more, and the machine was not the same throughout


_Measured = tuple[PairedFigure, PairedDifferences]


@dataclass(frozen=True)
class Blocks:
    """What was measured.

    Attributes:
        base, head: the rows of both artifacts, over all blocks.
        base_samples, head_samples: the samples of each block's launch, in ns.
        canary_samples: of each launch of the canary, one more than there are blocks.
        seed, head_first: of the order.
    """

    base: Measurement
    head: Measurement
    base_samples: Sequence[Sequence[int]]
    head_samples: Sequence[Sequence[int]]
    canary_samples: Sequence[Sequence[int]]
    seed: int
    head_first: Sequence[bool]


def random_order(blocks: int, seed: int) -> list[bool]:
    """For each block whether head comes first: in half of them, in random order, so that a drift has no side."""
    order = [index % 2 == 0 for index in range(blocks)]
    random.Random(seed).shuffle(order)
    return order


def judge_blocks(
    blocks: Blocks, false_alarm_rate: float = FALSE_ALARM_RATE, margin: float = MARGIN
) -> PairedComparison:
    """The comparison of base and head."""
    measured = [_measure(metric, quantile, blocks, false_alarm_rate) for metric, quantile in FIGURES.items()]
    canary = describe_canary([round(float(np.median(samples))) for samples in blocks.canary_samples])
    verdict, reason = _verdict(blocks, measured, canary, (false_alarm_rate / len(FIGURES), margin))
    return PairedComparison(
        base=_name(blocks.base),
        head=_name(blocks.head),
        threads=blocks.base.threads,
        verdict=verdict,
        reason=reason,
        figures=tuple(figure for figure, _ in measured),
        false_alarm_rate=false_alarm_rate,
        margin=margin,
        seed=blocks.seed,
        head_first=tuple(blocks.head_first),
        canary=canary,
        causes=find_causes(blocks.base, blocks.head) if verdict in ("slower", "faster") else (),
    )


def _measure(metric: str, quantile: float, blocks: Blocks, rate: float) -> _Measured:
    base, head = (
        [round(float(np.quantile(samples, quantile))) for samples in launches]
        for launches in (blocks.base_samples, blocks.head_samples)
    )
    found = PairedDifferences(np.log(np.array(head, float)) - np.log(np.array(base, float)))
    interval = found.interval(0.05)
    figure = PairedFigure(
        metric=metric,
        base_ns=tuple(base),
        head_ns=tuple(head),
        change=float(np.expm1(found.center)),
        low=None if interval is None else float(np.expm1(interval[0])),
        high=None if interval is None else float(np.expm1(interval[1])),
        p_value=found.p_value(),
        smallest_change=min(found.smallest_change(rate / len(FIGURES)), 1e3),
    )
    return figure, found


def describe_canary(medians_ns: Sequence[int]) -> Canary:
    """What the canary's launches say about the machine."""
    levels = np.log(np.array(medians_ns, float))
    low, high = np.quantile(levels, [0.1, 0.9])
    return Canary(
        medians_ns=tuple(medians_ns),
        drift=trend(np.arange(len(levels)), levels),
        spread=float(np.expm1(high - low)),
        moved_blocks=tuple(int(index) for index in np.flatnonzero(np.abs(np.diff(levels)) > MOVED)),
    )


def _verdict(
    blocks: Blocks, measured: Sequence[_Measured], canary: Canary, limits: tuple[float, float]
) -> tuple[PairedVerdict, str]:
    """`limits`: the false-alarm rate of one figure, and the margin."""
    rate, margin = limits
    count = len(blocks.base_samples)
    if blocks.base.device.emulated:
        return "not trustworthy", "an emulator's times mean nothing; --device qemu counts instructions"
    if 2.0 ** (1 - count) > rate:
        return "not trustworthy", f"{count} {'block is' if count == 1 else 'blocks are'} too few: --launches 12 or more"
    changes = [figure.change for figure, _ in measured if figure.p_value <= rate and abs(figure.change) >= LEAST_CHANGE]
    if changes and min(changes) > 0:
        return "slower", ""
    if changes and max(changes) < 0:
        return "faster", ""
    if changes:
        return "not trustworthy", "the fastest samples and the median changed in opposite directions"
    changed = abs(canary.drift) > margin or len(canary.moved_blocks) > MOVED_SHARE * count
    reach = max(_reach(found, rate) for _, found in measured)
    if reach <= margin and not changed:
        return "same", ""
    if changed:
        return "not trustworthy", (
            f"the machine itself changed: the canary drifted by {canary.drift:+.1%} and moved by more than "
            f"{MOVED:.0%} in {len(canary.moved_blocks)} of {count} blocks; stop what else runs, or let it cool down"
        )
    return "not trustworthy", f"a change of up to {reach:.1%} cannot be excluded: more blocks, --launches {2 * count}"


def _reach(found: PairedDifferences, rate: float) -> float:
    """The largest change that is not excluded: each side of the interval is missed at `rate`, two one-sided tests."""
    bounds = found.interval(2 * rate)
    return float(np.max(np.abs(np.expm1(bounds)))) if bounds else float("inf")


def _name(row: Measurement) -> str:
    return f"{row.model}/{row.target} ({row.artifact})"
