"""Change points in the history of one figure: where its level changed, also by a slow creep.

E-divisive means (D. S. Matteson, N. A. James, Journal of the American Statistical Association 109, 2014) as Hunter, now
Apache Otava, uses it (M. Fleming et al., ICPE 2023): the split with the largest energy statistic is tested, and each side
is split again. As there a t-test takes the place of the permutation test, so that the result is the same each time. It is
written here because the package apache-otava brings a cloud client, a chat client and an older numpy for these few lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
LEAST_SEGMENT = 4
SIGNIFICANCE = 0.005  # of a series without a change, after the correction for the number of splits
LEAST_CHANGE = 0.003  # smaller steps are not reported
WINDOW = 250  # the last measurements are looked at: the statistic takes the square of their number


@dataclass(frozen=True)
class ChangePoint:
    """A change of level.

    Attributes:
        index: of the first value of the new level.
        change: relative, of the new level to the old one.
        p_value: of the t-test, corrected for the number of possible splits.
    """

    index: int
    change: float
    p_value: float


def change_points(levels: Values) -> list[ChangePoint]:
    """The change points of a series of logarithms, in order. Only its last WINDOW values are looked at."""
    start = max(0, len(levels) - WINDOW)
    splits = sorted(_split(levels, start, len(levels)))
    bounds = [start, *splits, len(levels)]
    found = []
    for before, split, after in zip(bounds, bounds[1:-1], bounds[2:], strict=False):
        change = float(np.expm1(levels[split:after].mean() - levels[before:split].mean()))
        if abs(change) >= LEAST_CHANGE:
            found.append(ChangePoint(split, change, _p_value(levels[before:split], levels[split:after])))
    return found


def _split(levels: Values, start: int, end: int) -> list[int]:
    if end - start < 2 * LEAST_SEGMENT:
        return []
    split = start + _best_split(levels[start:end])
    if _p_value(levels[start:split], levels[split:end]) > SIGNIFICANCE:
        return []
    return [*_split(levels, start, split), split, *_split(levels, split, end)]


def _best_split(values: Values) -> int:
    """The split with the largest energy statistic: mean distance across it less the mean distances on both sides."""
    count = len(values)
    distances = np.abs(values[:, None] - values[None, :])
    table = distances.cumsum(axis=0).cumsum(axis=1)
    sizes = np.arange(LEAST_SEGMENT, count - LEAST_SEGMENT + 1)
    left = table[sizes - 1, sizes - 1]
    across = table[sizes - 1, count - 1] - left
    right = table[-1, -1] - left - 2 * across
    other = count - sizes
    energy = 2 * across / (sizes * other) - left / sizes**2 - right / other**2
    return int(sizes[np.argmax(energy * sizes * other / count)])


def _p_value(before: Values, after: Values) -> float:
    """Welch's t-test, times the number of splits that were possible."""
    from scipy.special import stdtr

    variances = [values.var(ddof=1) / len(values) for values in (before, after)]
    error = float(np.sqrt(sum(variances)))
    difference = abs(float(after.mean() - before.mean()))
    if error == 0:
        return 0.0 if difference else 1.0
    degrees = sum(variances) ** 2 / sum(
        variance**2 / (len(values) - 1) for variance, values in zip(variances, (before, after), strict=True)
    )
    return float(min(1.0, 2 * stdtr(degrees, -difference / error) * (len(before) + len(after))))
