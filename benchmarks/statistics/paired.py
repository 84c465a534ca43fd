"""Differences within blocks: whether they are all chance, how large they are, and how sure that is.

In a block both artifacts are launched once, in random order, so that whatever the machine does to one it does to the other.
If they are equal, each difference is as likely positive as negative, however the noise is distributed. The signed-rank test
(F. Wilcoxon, Biometrics Bulletin 1, 1945) needs no more than that, so its false-alarm rate holds on any machine. Estimate
and interval belong to it (J. L. Hodges, E. L. Lehmann, Annals of Mathematical Statistics 34, 1963): the median of the means
of all pairs of differences, and two of those means by their rank.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .launches import Samples
from .noise import Spread


@dataclass(frozen=True)
class PairedDifferences:
    """The logarithms of head over base, one for each block."""

    values: Samples

    @property
    def center(self) -> float:
        """The Hodges-Lehmann estimate."""
        return float(np.median(self._means()))

    def p_value(self) -> float:
        """Two-sided, exact; differences of zero are left out."""
        from scipy.stats import rankdata

        found = self.values[self.values != 0]
        if not len(found):
            return 1.0
        ranks = rankdata(np.abs(found))
        smaller = min(float(ranks[found > 0].sum()), float(ranks[found < 0].sum()))
        return float(min(1.0, 2 * _cumulative(len(found))[int(np.floor(smaller))]))

    def interval(self, rate: float) -> tuple[float, float] | None:
        """The interval that misses the true difference at `rate`; None where the blocks are too few for one."""
        below = np.flatnonzero(_cumulative(len(self.values)) <= rate / 2)
        if not len(below):
            return None
        means = self._means()
        return float(means[below[-1]]), float(means[len(means) - 1 - below[-1]])

    def smallest_change(self, rate: float) -> float:
        """The smallest relative change that as many blocks with this spread would show, 95 times in 100."""
        count = len(self.values)
        if count < 2:
            return float("inf")
        return Spread(float(self.values.std(ddof=1)) / np.sqrt(count), count - 1.0).smallest_change(rate)

    def _means(self) -> Samples:
        """The means of all pairs of differences, each with itself too; sorted."""
        first, second = np.triu_indices(len(self.values))
        return np.sort((self.values[first] + self.values[second]) / 2)


def _cumulative(count: int) -> NDArray[np.float64]:
    """The probability that the ranks of the positive ones of `count` differences sum up to at most 0, 1, 2, ..."""
    ways = np.zeros(count * (count + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, count + 1):
        ways[rank:] = (ways[rank:] + ways[:-rank]) / 2
        ways[:rank] /= 2
    return np.minimum(np.cumsum(ways), 1.0)
