"""Change points: steps and creeps are found, series without a change have none."""

from __future__ import annotations

import numpy as np
import pytest

from edgedeploy.benchmarks.statistics.changepoints import change_points


def noise(seed: int, count: int, sd: float = 0.005) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sd, count)


@pytest.mark.parametrize("count", [10, 30, 100])
def test_a_series_without_a_change_has_none(count: int) -> None:
    assert sum(bool(change_points(noise(seed, count))) for seed in range(300)) <= 6


def test_a_step_is_found_where_it_is_and_with_its_size() -> None:
    levels = noise(1, 40)
    levels[25:] += np.log(1.05)
    (found,) = change_points(levels)
    assert found.index == 25
    assert found.change == pytest.approx(0.05, abs=0.005)


def test_a_creep_of_half_a_percent_a_step_is_found() -> None:
    missed = sum(not change_points(noise(seed, 20) + np.log(1.005) * np.arange(20)) for seed in range(100))
    assert missed <= 2


def test_up_and_down_again_are_two_changes() -> None:
    levels = noise(3, 60)
    levels[20:40] += 0.05
    first, second = change_points(levels)
    assert (first.index, second.index) == (20, 40)
    assert first.change > 0 > second.change


def test_equal_values_and_short_series_have_none_and_an_exact_step_is_certain() -> None:
    assert change_points(np.zeros(50)) == change_points(np.array([0.0, 1.0])) == change_points(np.empty(0)) == []
    (found,) = change_points(np.repeat([0.0, 0.01], 10))
    assert found.index == 10
    assert found.p_value < 1e-9
