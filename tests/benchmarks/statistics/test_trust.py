"""What the samples say about the measurement: trustworthy, or not, why and what to do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgedeploy.benchmarks.statistics.intervals import quantile_intervals
from edgedeploy.benchmarks.statistics.launches import Launch, find_steady_state
from edgedeploy.benchmarks.statistics.noise import NoiseModel, learn_noise
from edgedeploy.benchmarks.statistics.shape import two_modes
from edgedeploy.benchmarks.statistics.trust import judge
from tests.cli.rows import measurement

from .traces import kinds, quiet, row


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_a_quiet_row_is_trustworthy_and_says_what_it_could_find(rng: np.random.Generator) -> None:
    measured = row(*(quiet(rng) for _ in range(3)))
    assert kinds(measured) == set()
    statistics = measured.statistics
    assert statistics is not None
    assert measured.latency_ns is not None
    assert statistics.median_interval_ns is not None
    assert statistics.median_interval_ns.low <= measured.latency_ns.median <= statistics.median_interval_ns.high
    assert 0.03 < statistics.smallest_change < 0.08
    assert statistics.p99_interval_ns is None  # 150 samples do not carry it


def test_of_a_hundred_quiet_rows_nearly_all_are_trustworthy() -> None:
    rows = [[Launch(quiet(np.random.default_rng([seed, n]))) for n in range(3)] for seed in range(100)]
    assert sum(judge(measurement(), launches).trustworthy for launches in rows) >= 97


def test_the_warm_up_is_found_and_left_out_of_the_summary(rng: np.random.Generator) -> None:
    launches = [quiet(rng, 100) for _ in range(3)]
    for launch in launches:
        launch[:20] *= np.linspace(1.6, 1.1, 20)
    measured = row(*launches)
    assert measured.statistics is not None
    assert all(15 <= warmup <= 30 for warmup in measured.statistics.warmup_samples)
    assert measured.latency_ns is not None
    assert measured.latency_ns.count == 300 - sum(measured.statistics.warmup_samples)
    assert len(measured.samples_ns) == 300
    assert kinds(measured) == set()


def test_a_launch_that_never_settles_is_reported(rng: np.random.Generator) -> None:
    falling = quiet(rng, 100) * np.linspace(1.5, 1.0, 100)
    assert not find_steady_state(falling).settled
    assert "no steady state" in kinds(row(falling, falling, falling))


def test_a_device_that_heats_up_within_a_launch_or_from_launch_to_launch_drifts(rng: np.random.Generator) -> None:
    heating = np.linspace(1.0, 1.1, 60)
    assert "drift" in kinds(row(*(quiet(rng, 60) * heating for _ in range(3))))
    assert "drift" in kinds(row(*(quiet(rng) * (1 + 0.02 * number) for number in range(4))))


def test_two_modes_are_seen_and_one_wide_mode_is_not(rng: np.random.Generator) -> None:
    modes = [quiet(rng, 60) * rng.choice([1.0, 1.25], 60, p=[0.6, 0.4]) for _ in range(3)]
    assert "two modes" in kinds(row(*modes))
    for one in (rng.normal(1, 0.05, 500), rng.uniform(0.9, 1.1, 500), rng.exponential(0.1, 500) + 1):
        assert two_modes(one) is None


def test_launches_that_differ_another_load_and_few_samples_are_reported(rng: np.random.Generator) -> None:
    assert "launches differ" in kinds(row(quiet(rng), quiet(rng) * 1.12, quiet(rng)))
    loaded = [quiet(rng) * rng.choice([1.0, 2.5], 50, p=[0.8, 0.2]) for _ in range(3)]
    assert "another load" in kinds(row(*loaded))
    assert kinds(row(quiet(rng, 5))) == {"few samples", "one launch"}


def test_what_the_device_reports_counts_too(rng: np.random.Generator) -> None:
    launches = [quiet(rng) for _ in range(3)]
    found = row(*launches, throttled_samples=(3, 4), slowed_samples=tuple(range(80)))
    assert kinds(found) == {"throttled", "clock frequency"}
    assert kinds(row(*launches, device=replace(found.device, emulated=True))) == {"emulated"}


def test_the_interval_holds_the_true_median_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        launches = [Launch(rng.normal(1e6, 1e4, 60)) for _ in range(3)]
        (interval,) = quantile_intervals(launches, [0.5])
        assert interval is not None
        held += interval.low <= 1e6 <= interval.high
    assert held >= 33


def test_the_noise_model_learns_from_measurements_of_the_same_artifact(rng: np.random.Generator) -> None:
    runs = [rng.normal(0, 0.02) + rng.normal(0, 0.004, 3) for _ in range(60)]
    learned = learn_noise([runs[:30], [run + 1 for run in runs[30:]], runs[:1]])
    assert learned.launch_sd == pytest.approx(0.004, abs=0.002)
    assert learned.session_sd == pytest.approx(0.02, abs=0.006)
    assert learn_noise([runs[:1]]) == NoiseModel()


def test_equal_measurements_differ_significantly_as_rarely_as_stated() -> None:
    """The moderated t-test, on launches as noisy as the model believes."""
    rng, model, alarms = np.random.default_rng(1), NoiseModel(), 0
    for _ in range(4000):
        base, head = (rng.normal(0, model.session_sd) + rng.normal(0, model.launch_sd, 3) for _ in range(2))
        alarms += model.spread(base, head).p_value(head.mean() - base.mean()) < 0.01
    assert 10 <= alarms <= 60
