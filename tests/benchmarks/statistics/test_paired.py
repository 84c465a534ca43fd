"""Differences within blocks: the exact test, the estimate and its interval, against scipy and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wilcoxon

from edgedeploy.benchmarks.statistics.paired import PairedDifferences


@pytest.mark.parametrize("count", [5, 9, 12, 30])
def test_the_p_value_is_that_of_the_signed_rank_test(count: int) -> None:
    values = np.random.default_rng(count).normal(0.3, 1.0, count)
    expected = wilcoxon(values, method="exact").pvalue
    assert PairedDifferences(values).p_value() == pytest.approx(expected)


def test_equal_files_measured_equally_give_no_difference() -> None:
    found = PairedDifferences(np.zeros(12))
    assert (found.p_value(), found.center) == (1.0, 0.0)


def test_the_interval_misses_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        interval = PairedDifferences(rng.standard_t(2, 12) + 5).interval(0.05)  # heavy tails, as other load makes them
        assert interval is not None
        inside += interval[0] <= 5 <= interval[1]
    assert 0.92 * 400 <= inside <= 0.985 * 400


def test_too_few_blocks_have_no_interval() -> None:
    assert PairedDifferences(np.ones(5)).interval(0.05) is None
    assert PairedDifferences(np.arange(6.0)).interval(0.05) == (0.0, 5.0)


def test_one_wild_block_does_not_move_the_estimate() -> None:
    values = np.full(12, 0.05)
    values[3] = 3.0
    assert PairedDifferences(values).center == pytest.approx(0.05)
