from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgedeploy.core.recipe import Observer
from edgedeploy.exporters.ranges import MOST_COUNTED, LogitRangeEstimator, Range, RangeEstimator, symmetric

RNG = np.random.default_rng(0)
NORMAL = RNG.standard_normal(100_000).astype(np.float32)
WITH_OUTLIER = np.append(NORMAL, np.float32(60))


def estimated(observer: Observer, *batches: NDArray[np.float32]) -> Range:
    estimator = RangeEstimator(observer)
    for batch in batches:
        for part in np.array_split(batch, 1 + batch.size // MOST_COUNTED):
            estimator.update(part)
    return estimator.range()


def squared_error(values: NDArray[np.float32], range: Range) -> float:
    step = (range.high - range.low) / 255
    quantized = np.clip(np.rint((values - range.low) / step), 0, 255) * step + range.low
    return float(np.mean((values - quantized) ** 2))


def test_minimum_and_maximum_are_those_of_all_batches() -> None:
    assert estimated(Observer.MIN_MAX, NORMAL, WITH_OUTLIER) == Range(float(NORMAL.min()), 60.0)


@pytest.mark.parametrize("observer", [Observer.PERCENTILE, Observer.ENTROPY, Observer.MSE])
def test_other_observers_cut_one_outlier_off(observer: Observer) -> None:
    """Least squares do it less than the others: one outlier's error is as large as that of many values."""
    found = estimated(observer, WITH_OUTLIER)
    assert 2 < found.high < 55
    assert found.low >= NORMAL.min()


def test_the_percentile_is_that_of_the_values() -> None:
    found = estimated(Observer.PERCENTILE, NORMAL)
    expected = np.percentile(NORMAL, [0.005, 99.995])
    np.testing.assert_allclose([found.low, found.high], expected, atol=0.02)


@pytest.mark.parametrize("values", [NORMAL, WITH_OUTLIER, RNG.uniform(-1, 3, 20_000).astype(np.float32)])
def test_mse_percentile_cuts_off_no_more_than_either(values: NDArray[np.float32]) -> None:
    mse, percentile = estimated(Observer.MSE, values), estimated(Observer.PERCENTILE, values)
    expected = Range(min(mse.low, percentile.low), max(mse.high, percentile.high))
    assert estimated(Observer.MSE_PERCENTILE, values) == expected
    assert mse != percentile


@pytest.mark.parametrize("observer", list(Observer))
def test_infinite_values_are_left_out(observer: Observer) -> None:
    """A pooling for the maximum pads with them."""
    with_infinite = np.append(NORMAL, np.array([-np.inf, np.inf], np.float32))
    assert estimated(observer, with_infinite, np.full(3, -np.inf, np.float32)) == estimated(observer, NORMAL)


@pytest.mark.parametrize("channels", [2, 3, 16])
def test_of_a_large_array_every_channel_is_counted(channels: int) -> None:
    values = RNG.standard_normal((2**18 // channels, channels)).astype(np.float32)
    values[:, -1] *= 50
    estimator = RangeEstimator(Observer.PERCENTILE)
    estimator.update(values)
    assert estimator.range().high > 100


@pytest.mark.parametrize("other", [0.25, 0.5, 1.0])
def test_no_other_range_has_a_smaller_squared_error_than_mse(other: float) -> None:
    heavy = RNG.standard_t(3, 50_000).astype(np.float32)
    full, found = (estimated(observer, heavy) for observer in (Observer.MIN_MAX, Observer.MSE))
    shrunk = Range(other * full.low, other * full.high)
    assert squared_error(heavy, found) < 1.02 * squared_error(heavy, shrunk)


@pytest.mark.parametrize("observer", Observer)
def test_the_order_and_the_size_of_batches_do_not_matter(observer: Observer) -> None:
    batches = [NORMAL[:1000] * 0.01, NORMAL[1000:2000], NORMAL[2000:3000] * 30]
    assert estimated(observer, *batches) == estimated(observer, np.concatenate(batches[::-1]))


@pytest.mark.parametrize("observer", Observer)
@pytest.mark.parametrize("values", [np.zeros(4, np.float32), np.full(3, 5, np.float32), np.full(1, -2, np.float32)])
def test_a_range_includes_zero_and_constants_have_one(observer: Observer, values: NDArray[np.float32]) -> None:
    found = estimated(observer, values)
    assert found.low <= 0 <= found.high
    assert found.low >= min(0, float(values.min()))
    assert found.high <= max(0, float(values.max()))


def test_sixteen_bits_clip_less_than_eight() -> None:
    wide = RangeEstimator(Observer.MSE, bits=16)
    wide.update(WITH_OUTLIER)
    assert wide.range().high > estimated(Observer.MSE, WITH_OUTLIER).high


@pytest.mark.parametrize("values", [NORMAL, WITH_OUTLIER, NORMAL + 2], ids=["normal", "outlier", "shifted"])
def test_a_symmetric_range_has_zero_point_0_and_no_more_error_than_the_full_one(values: NDArray[np.float32]) -> None:
    estimator = RangeEstimator(Observer.MIN_MAX)
    estimator.update(values)
    found, full = estimator.symmetric_range(), symmetric(float(np.abs(values).max()))
    assert -128 - found.low / ((found.high - found.low) / 255) == pytest.approx(0)
    assert squared_error(values, found) <= squared_error(values, full)


def test_a_symmetric_range_of_nothing_but_zeros_is_empty() -> None:
    assert RangeEstimator(Observer.MIN_MAX).symmetric_range() == Range(0, 0)


@pytest.mark.parametrize("observer", Observer)
def test_a_margin_moves_both_ends_away_from_0(observer: Observer) -> None:
    plain, wide = RangeEstimator(observer), RangeEstimator(observer, margin=0.25)
    for estimator in (plain, wide):
        estimator.update(WITH_OUTLIER)
    assert wide.range() == Range(1.25 * plain.range().low, 1.25 * plain.range().high)
    assert wide.symmetric_range().high == 1.25 * plain.symmetric_range().high


@pytest.mark.parametrize("mask", [-100.0, -np.inf])
def test_what_a_mask_takes_from_a_softmax_takes_no_steps_from_the_other_logits(mask: float) -> None:
    logits = np.random.default_rng(0).uniform(-3, 3, (64, 49)).astype(np.float32)
    estimator = LogitRangeEstimator(Observer.MIN_MAX)
    estimator.update(logits + np.where(np.arange(49) < 20, np.float32(mask), 0))
    found = estimator.range()
    assert found.high == logits[:, 20:].max()
    assert -8 < found.low < -5, "20 places of the row with the lowest maximum weigh 20 exp(-ln(256 * 49)) there"


def test_logits_without_a_mask_have_the_range_of_other_values() -> None:
    estimator = LogitRangeEstimator(Observer.MIN_MAX)
    estimator.update(NORMAL[:6400].reshape(1, 64, 100))
    assert estimator.range() == estimated(Observer.MIN_MAX, NORMAL[:6400])
