"""Intervals of accuracies: published examples, and how often the truth lies in them."""

from __future__ import annotations

import numpy as np
import pytest

from edgedeploy.benchmarks.statistics.accuracy import bootstrap, difference_of_shares, mean, share


def pairs(both: int, only_a: int, only_b: int, none: int) -> tuple[list[bool], list[bool]]:
    return (
        [True] * (both + only_a) + [False] * (only_b + none),
        [True] * both + [False] * only_a + [True] * only_b + [False] * none,
    )


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]
)
def test_a_share_has_the_published_wilson_interval(hits: int, count: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17, 1998, 857-872, table I, method 3."""
    found = share(hits, count)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_networks_that_agree_on_every_image_differ_by_nothing() -> None:
    found = difference_of_shares(*pairs(36, 0, 0, 14))
    assert found.value == 0
    assert found.low == pytest.approx(-found.high)
    assert abs(found.high) < 0.13  # two independent networks of 50 images: 0.17


def test_a_paired_interval_holds_the_truth_95_times_in_100() -> None:
    rng, held = np.random.default_rng(0), 0
    truth = 0.03 - 0.01
    for _ in range(1000):
        counts = rng.multinomial(2000, [0.90, 0.03, 0.01, 0.06])
        found = difference_of_shares(*pairs(*map(int, counts)))
        held += found.low <= truth <= found.high
    assert 925 <= held <= 975


def test_the_bootstrap_of_a_mean_is_as_wide_as_its_standard_error() -> None:
    values = np.random.default_rng(0).standard_normal(500).tolist()
    found = bootstrap(mean(values), len(values))
    assert found.value == pytest.approx(np.mean(values))
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.std(values) / len(values) ** 0.5, rel=0.1)
