"""Whether a measurement can be trusted, why not, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.verdict import Doubt, LatencyStatistics, Trust

from .intervals import quantile_intervals
from .launches import Launch, levels, split_launches, steady_samples
from .noise import NoiseModel
from .shape import drift, outlier_share, two_modes
from .summary import summarise
from .sustained import describe_sustained

LEAST_SAMPLES = 30
LARGEST_DRIFT = 0.03
LARGEST_MODE_GAP = 0.03
LARGEST_SPREAD = 0.05  # of the launches' medians
LARGEST_OUTLIER_SHARE = 0.1
LARGEST_SLOWED_SHARE = 0.25
MLPERF_QUERIES, MLPERF_SECONDS = 1024, 60
MLPERF_TIMED_SHARE = 0.8  # the runner's own work between two queries is not in their samples
# What a protocol is for, or asks for, is no doubt about its rows.
EXPECTED = {
    "sustained": ("one launch", "drift", "no steady state", "throttled", "clock frequency", "two modes"),
    "mlperf": ("one launch",),
}


def assess(row: Measurement) -> Measurement:
    """The row with its summary, statistics and verdict; a row of instruction counts as it is."""
    if not row.samples_ns:
        return row
    launches = launches_of(row)
    steady = steady_samples(launches)
    p50, p90, p99 = quantile_intervals(launches, (0.5, 0.9, 0.99))
    statistics = replace(describe(launches), median_interval_ns=p50, p90_interval_ns=p90, p99_interval_ns=p99)
    found = replace(row, latency_ns=summarise(steady), statistics=statistics, verdict=_trust(row, launches, statistics))
    if row.protocol != "sustained":
        return found
    states = [state for state in (row.state_before, *row.state_during, row.state_after) if state is not None]
    return replace(found, sustained=describe_sustained(row.samples_ns, states))


def launches_of(row: Measurement) -> list[Launch]:
    """The launches of a row, each with its steady state; all samples where the protocol's rules count every query."""
    launches = split_launches(row.samples_ns, row.sample_launches)
    return [Launch(launch.samples) for launch in launches] if row.protocol == "mlperf" else launches


def judge(row: Measurement, launches: Sequence[Launch]) -> Trust:
    """The verdict alone, which needs no intervals."""
    return _trust(row, launches, describe(launches))


def describe(launches: Sequence[Launch]) -> LatencyStatistics:
    """What these launches are like; without intervals, which take their time."""
    samples = steady_samples(launches)
    medians = levels(launches)
    modes = two_modes(samples)
    return LatencyStatistics(
        warmup_samples=tuple(launch.warmup for launch in launches),
        median_interval_ns=None,
        p90_interval_ns=None,
        p99_interval_ns=None,
        launch_spread=float(medians.max() - medians.min()) if len(medians) > 1 else None,
        drift=drift(launches),
        mode_gap=modes.gap if modes else 0.0,
        outlier_share=outlier_share(samples),
        smallest_change=NoiseModel().spread(medians).smallest_change(),
    )


def _trust(row: Measurement, launches: Sequence[Launch], statistics: LatencyStatistics) -> Trust:
    expected = EXPECTED.get(row.protocol, ())
    found = (*_doubts(launches, statistics), *_doubts_of_device(row), *_doubts_of_rules(row))
    doubts = tuple(doubt for doubt in found if doubt.kind not in expected)
    return Trust(trustworthy=not doubts, doubts=doubts)


def _doubts_of_rules(row: Measurement) -> Iterator[Doubt]:
    whole = row.latency_ns  # of all samples; the history keeps some of them
    count = max(len(row.samples_ns), whole.count if whole else 0)
    seconds = max(sum(row.samples_ns), whole.count * whole.mean if whole else 0) / 1e9
    if row.protocol == "mlperf" and (count < MLPERF_QUERIES or seconds < MLPERF_TIMED_SHARE * MLPERF_SECONDS):
        yield Doubt(
            "rules",
            f"MLPerf's single stream asks for {MLPERF_QUERIES} queries and {MLPERF_SECONDS} s; it had {count} in "
            f"{seconds:.0f} s",
            "a smaller network",
        )


def _doubts(launches: Sequence[Launch], statistics: LatencyStatistics) -> Iterator[Doubt]:
    count = len(steady_samples(launches))
    if count < LEAST_SAMPLES:
        yield Doubt("few samples", f"{count} samples are too few", f"--num-runs {LEAST_SAMPLES} or more")
    if len(launches) == 1:
        yield Doubt("one launch", "one launch of the runner does not show how much two differ", "--launches 3 or more")
    unsettled = [launch for launch in launches if not launch.settled]
    moved = statistics.drift or 0.0
    if unsettled:
        yield Doubt(
            "no steady state",
            f"{len(unsettled)} of {len(launches)} launches reached no steady state",
            "a longer warm-up: --warmup-runs 50, or more samples: --num-runs 200",
            2 * max(launch.moved for launch in unsettled),  # a line's halves differ by half of its whole rise
        )
    if abs(moved) > LARGEST_DRIFT:
        yield Doubt(
            "drift",
            f"the latency {'rose' if moved > 0 else 'fell'} by {abs(moved):.1%} during the measurement",
            "let the device cool down: --cooldown 60, --max-start-temp 35; stop what else runs on it",
            abs(moved),
        )
    if (statistics.launch_spread or 0.0) > LARGEST_SPREAD:
        yield Doubt(
            "launches differ",
            f"the medians of the launches differ by {statistics.launch_spread:.1%}",
            "more launches: --launches 10; bind the run to cores: --cores big",
            statistics.launch_spread,
        )
    if statistics.mode_gap > LARGEST_MODE_GAP:
        yield Doubt(
            "two modes",
            f"the samples have two modes that are {statistics.mode_gap:.1%} apart",
            "--cores big: threads that change between kinds of core or clock frequencies have such modes",
            statistics.mode_gap,
        )
    if statistics.outlier_share > LARGEST_OUTLIER_SHARE:
        yield Doubt(
            "another load",
            f"{statistics.outlier_share:.0%} of the samples took more than 1.5 times the median",
            "stop what else runs on the device, or measure later",
        )


def _doubts_of_device(row: Measurement) -> Iterator[Doubt]:
    count = len(row.samples_ns)
    if row.device.emulated:
        yield Doubt("emulated", "an emulator's times mean nothing", "--device qemu counts instructions")
    if row.throttled_samples:
        yield Doubt(
            "throttled",
            f"the device throttled during {len(row.throttled_samples)} of {count} samples",
            "let it cool down: --cooldown 60, --max-start-temp 35; unplug the charger",
        )
    if row.slowed_samples and len(row.slowed_samples) > LARGEST_SLOWED_SHARE * count:
        yield Doubt(
            "clock frequency",
            f"{len(row.slowed_samples)} of {count} samples ran below 90 % of the core's highest frequency",
            "a longer warm-up: --warmup-runs 50; --cores big; the governor `performance` where it can be set",
        )
