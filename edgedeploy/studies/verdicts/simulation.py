"""Thousands of comparisons of simulated traces: false alarms, found slowdowns, and what drift does to both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from edgedeploy.benchmarks.comparison import ComparisonOptions, compare_measurements
from edgedeploy.benchmarks.comparison.paired import judge_blocks
from edgedeploy.benchmarks.comparison.rows import key_of
from edgedeploy.benchmarks.statistics.changepoints import change_points
from edgedeploy.benchmarks.statistics.launches import levels, split_launches
from edgedeploy.benchmarks.statistics.noise import TAIL, RowNoise, learn_noise
from edgedeploy.benchmarks.statistics.trust import judge, launches_of
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.comparison import RowComparison, RowKey

from .traces import DRIFTING, PHONE, QUIET, Noise, measure, measure_blocks, measure_mlperf


@dataclass(frozen=True)
class Trials:
    """What became of the comparisons of one kind.

    Attributes:
        alarms: those that are slower or faster.
        unknown_trusted: those that are unknown although both measurements were trustworthy.
    """

    name: str
    count: int
    slower: int
    faster: int
    same: int
    not_trustworthy: int
    unknown_trusted: int

    @property
    def alarms(self) -> int:
        """Verdicts that claim a change."""
        return self.slower + self.faster

    def __str__(self) -> str:
        return (
            f"| {self.name} | {self.count} | {self.slower} | {self.faster} | {self.same} | {self.not_trustworthy} "
            f"| {self.unknown_trusted} |"
        )


@dataclass(frozen=True)
class Manner:
    """How a pair is measured and compared.

    Attributes:
        metric: None for that of the protocol.
        history: so many measurements of the artifact were there before, of which the trustworthy ones teach the noise.
    """

    metric: str | None = None
    history: int = 0
    measure: Callable[[np.random.Generator, Noise, float], Measurement] = measure


DEFAULT, P90, MLPERF = Manner(), Manner("p90"), Manner(measure=measure_mlperf)


def run_trials(
    name: str, count: int, noise: Noise, factor: float = 1.0, seed: int = 0, manner: Manner = DEFAULT
) -> Trials:
    """Compares `count` pairs of measurements, of which the second takes `factor` times as long."""
    verdicts: Counter[str] = Counter()
    for trial in range(count):
        rng = np.random.default_rng([seed, trial])
        known = [manner.measure(rng, noise, 1.0) for _ in range(manner.history)]
        base, head = (manner.measure(rng, noise, slower) for slower in (1.0, factor))
        row = compare_pair(base, head, ComparisonOptions(manner.metric, noise=_learned(known)))
        doubted = row.verdict == "unknown" and row.reason.startswith("not trustworthy")
        verdicts["not trustworthy" if doubted else row.verdict] += 1
    return Trials(
        name, count, verdicts["slower"], verdicts["faster"], verdicts["same"], verdicts["not trustworthy"],
        verdicts["unknown"],
    )  # fmt: skip


def run_interleaved(name: str, count: int, noise: Noise, factor: float = 1.0, seed: int = 0) -> Trials:
    """The same in turns, at the defaults of `bench --interleave`."""
    verdicts: Counter[str] = Counter()
    for trial in range(count):
        rng = np.random.default_rng([seed, trial])
        verdicts[judge_blocks(measure_blocks(rng, noise, factor)).verdict] += 1
    return Trials(
        f"{name}, interleaved", count, verdicts["slower"], verdicts["faster"], verdicts["same"],
        verdicts["not trustworthy"], 0,
    )  # fmt: skip


def compare_pair(base: Measurement, head: Measurement, options: ComparisonOptions) -> RowComparison:
    """The verdict on one pair of measurements."""
    return compare_measurements([base], [head], options, ("base", "head")).rows[0]


def _learned(known: list[Measurement]) -> dict[RowKey, RowNoise]:
    """As `compare` learns it from a history."""
    runs = [launches for row in known if judge(row, launches := launches_of(row)).trustworthy]
    medians, p90s = ([[levels(launches, quantile) for launches in runs]] for quantile in (0.5, 0.9))
    return {key_of(known[0]): RowNoise(learn_noise(medians), learn_noise(p90s, TAIL))} if runs else {}


def all_trials(scale: float = 1.0) -> Iterator[Trials]:
    """The trials of docs/verdicts.md, one after the other; `scale` makes fewer."""

    def count(whole: int) -> int:
        return max(1, round(whole * scale))

    yield run_trials("equal, noise of phones", count(2000), PHONE, seed=1)
    yield run_trials("equal, quiet", count(500), QUIET, seed=2)
    yield run_trials("5 % slower, quiet", count(500), QUIET, 1.05, seed=3)
    yield run_trials("5 % slower, noise of phones", count(500), PHONE, 1.05, seed=4)
    yield run_trials("5 % slower, drifting", count(500), DRIFTING, 1.05, seed=5)
    yield run_trials("10 % slower, drifting", count(500), DRIFTING, 1.10, seed=6)
    with_history = Manner(history=10)
    yield run_trials("equal, noise of phones, history of 10", count(2000), PHONE, seed=12, manner=with_history)
    yield run_trials("equal, noise of phones, by p90", count(2000), PHONE, seed=13, manner=P90)
    yield run_trials("5 % slower, quiet, by p90", count(500), QUIET, 1.05, seed=14, manner=P90)
    p90_with_history = replace(with_history, metric="p90")
    yield run_trials(
        "equal, noise of phones, by p90, history of 10", count(2000), PHONE, seed=15, manner=p90_with_history
    )
    yield run_trials("equal, noise of phones, mlperf", count(2000), PHONE, seed=16, manner=MLPERF)
    yield run_trials("20 % slower, quiet, mlperf", count(500), QUIET, 1.2, seed=17, manner=MLPERF)
    yield run_interleaved("equal, noise of phones", count(2000), PHONE, seed=8)
    yield run_interleaved("5 % slower, noise of phones", count(500), PHONE, 1.05, seed=9)
    yield run_interleaved("equal, drifting", count(500), DRIFTING, seed=10)
    yield run_interleaved("5 % slower, drifting", count(500), DRIFTING, 1.05, seed=11)


def creep_trials(count: int, step: float = 0.005, steps: int = 20, seed: int = 7) -> tuple[int, int]:
    """In how many of `count` histories that grow by `step` each time, and of as many that do not, a change is found."""
    found = [0, 0]
    for trial in range(count):
        for kind, growth in enumerate((1 + step, 1.0)):
            rng = np.random.default_rng([seed, kind, trial])
            rows = [measure(rng, QUIET, growth**number) for number in range(steps)]
            medians = [levels(split_launches(row.samples_ns, row.sample_launches)).mean() for row in rows]
            found[kind] += any(change.change > 0 for change in change_points(np.array(medians)))
    return found[0], found[1]
