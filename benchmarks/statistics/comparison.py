"""Whether two measurements differ, by how much, and how sure that is.

Two tests must agree, so that neither a few outliers nor one odd process makes a verdict:

- of the launches: the moderated t-test of noise.py on the launches' levels;
- of the samples: the Mann-Whitney rank test, its number of samples reduced by their autocorrelation.

The p-value is the larger of both. Holm's method corrects it for the number of rows.

A 90th percentile has two ways to be found changed, each at half the rate: it changed together with the median, for which
both tests above must agree and the launches' 90th percentiles too; or it alone did, by more than those of two sessions
differ by its own noise model. The first one cannot raise more alarms than the median does, and it finds what slows
all inferences down without a history; a tail that grew alone looks like any busier session until the history knows better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgedeploy.core.results.comparison import Difference

from .launches import Launch, levels, steady_samples
from .noise import FALSE_ALARM_RATE, NoiseModel, RowNoise, Spread

QUANTILES = {"median": 0.5, "p90": 0.9}


def difference(
    base: Sequence[Launch], head: Sequence[Launch], metric: str = "median", noise: RowNoise | None = None
) -> tuple[Difference, Spread]:
    """The change from base to head, and the standard error of its logarithm."""
    noise = noise or RowNoise()
    superiority, rank_p = _rank_test(base, head)
    found = _median_changed(base, head, noise.median, rank_p)
    if metric == "p90":
        found = _p90_changed(base, head, noise, found)
    width = found.spread.half_width(0.05)
    described = Difference(
        metric=metric,
        base=float(np.exp(found.base)),
        head=float(np.exp(found.head)),
        change=float(np.expm1(found.change)),
        low=float(np.expm1(found.change - width)),
        high=float(np.expm1(found.change + width)),
        p_value=found.p_value,
        superiority=superiority,
        smallest_change=found.smallest_change,
    )
    return described, found.spread


@dataclass(frozen=True)
class _Change:
    """Of the mean level of the launches, in logarithms of ns."""

    base: float
    head: float
    spread: Spread
    p_value: float
    smallest_change: float

    @property
    def change(self) -> float:
        """From base to head."""
        return self.head - self.base


def _median_changed(base: Sequence[Launch], head: Sequence[Launch], noise: NoiseModel, rank_p: float) -> _Change:
    old, new = levels(base), levels(head)
    spread = noise.spread(old, new)
    before, after = float(old.mean()), float(new.mean())
    p_value = max(spread.p_value(after - before), rank_p)
    return _Change(before, after, spread, p_value, spread.smallest_change())


def _p90_changed(base: Sequence[Launch], head: Sequence[Launch], noise: RowNoise, median: _Change) -> _Change:
    """Together with the median, or alone."""
    old, new = levels(base, QUANTILES["p90"]), levels(head, QUANTILES["p90"])
    alone, together = noise.p90.spread(old, new), noise.median.spread(old, new)
    before, after = float(old.mean()), float(new.mean())
    change = after - before
    p_alone = alone.p_value(change)
    p_together = max(together.p_value(change), median.p_value) if change * median.change > 0 else 1.0
    return _Change(
        before,
        after,
        together if p_together <= min(p_alone, FALSE_ALARM_RATE) else alone,
        min(1.0, 2 * min(p_alone, p_together)),
        max(median.smallest_change, together.smallest_change(FALSE_ALARM_RATE / 2)),
    )


def significant(p_values: Sequence[float], rate: float = FALSE_ALARM_RATE) -> list[bool]:
    """Which of these tests found something, so that all of them together raise a false alarm at `rate` (Holm 1979)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    found = [False] * len(p_values)
    for rank, index in enumerate(order):
        if p_values[index] > rate / (len(p_values) - rank):
            break
        found[index] = True
    return found


def _rank_test(base: Sequence[Launch], head: Sequence[Launch]) -> tuple[float, float]:
    """The probability that a sample of head takes longer than one of base, and the two-sided p-value of 1/2."""
    from scipy.special import ndtr
    from scipy.stats import rankdata

    old, new = steady_samples(base), steady_samples(head)
    ranks = rankdata(np.concatenate([old, new]))
    superiority = (ranks[len(old) :].sum() - len(new) * (len(new) + 1) / 2) / (len(old) * len(new))
    effective = [len(old) / _inflation(base), len(new) / _inflation(head)]
    error = np.sqrt((1 / effective[0] + 1 / effective[1]) / 12)
    return float(superiority), float(2 * ndtr(-abs(superiority - 0.5) / error))


def _inflation(launches: Sequence[Launch]) -> float:
    """By how much autocorrelation inflates the variance of a mean: (1 + r) / (1 - r) of the first-order one, of ranks."""
    from scipy.stats import rankdata

    products, squares = 0.0, 0.0
    for launch in launches:
        ranks = rankdata(launch.steady)
        ranks -= ranks.mean()
        products += float(ranks[1:] @ ranks[:-1])
        squares += float(ranks @ ranks)
    correlation = min(max(products / squares if squares else 0.0, 0.0), 0.95)
    return (1 + correlation) / (1 - correlation)
