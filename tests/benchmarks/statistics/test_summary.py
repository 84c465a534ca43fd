from __future__ import annotations

import pytest

from edgedeploy.benchmarks.statistics.summary import summarise


def test_the_summary_of_a_hundred_and_one_steps_is_known_by_hand() -> None:
    found = summarise([1000 * step for step in range(101)])
    assert (found.min, found.median, found.p90, found.mean) == (0, 50_000, 90_000, 50_000)
    assert found.count == 101


@pytest.mark.parametrize(("count", "p99"), [(367, None), (368, 7)])
def test_p99_is_given_where_the_samples_carry_it(count: int, p99: int | None) -> None:
    assert summarise([7] * count).p99 == p99


def test_one_outlier_moves_the_mean_and_not_the_median() -> None:
    found = summarise([10] * 99 + [10_000])
    assert found.median == found.p90 == 10
    assert found.mean == 110


def test_one_sample_is_all_of_its_own_figures() -> None:
    found = summarise([7])
    assert (found.min, found.median, found.p90) == (7, 7, 7)


def test_no_samples_are_an_error_and_not_a_zero() -> None:
    with pytest.raises(ValueError, match="no samples"):
        summarise([])
