"""From the outcomes of all images to figures with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgedeploy.benchmarks.statistics.accuracy import Weights, bootstrap, difference_of_shares, mean, share
from edgedeploy.core.results.evaluation import Estimate, Score

from .outcomes import ImageResult, Outcome, PixelCounts

TOPS = (1, 5)
Figure = Callable[[Weights], NDArray[np.float64]]


def scores_of(results: Sequence[ImageResult], metric: str) -> tuple[Score, ...]:
    """Every figure that the outcomes give; skipped images are in none.

    Args:
        metric: the name of the user's metric, where there is one.
    """
    own = [result.outcome for result in results if result.outcome is not None]
    beside = [result.float_outcome for result in results if result.float_outcome is not None]
    scores: list[Score] = []
    if all(outcome.rank is not None for outcome in own):
        scores += [_top(k, own, beside) for k in TOPS]
    if all(outcome.pixels is not None for outcome in own):
        length = max(len(o.pixels.found) for o in (*own, *beside) if o.pixels)
        pairs = [_figures([o.pixels for o in group if o.pixels], length) for group in (own, beside) if group]
        scores += [_paired(name, [figures[name] for figures in pairs], len(own)) for name in pairs[0]]
    if all(outcome.value is not None for outcome in own):
        values = [[o.value for o in group if o.value is not None] for group in (own, beside) if group]
        scores.append(_paired(metric, [mean(group) for group in values], len(own)))
    agreements = [result.agreement for result in results if result.agreement is not None]
    if agreements:
        scores.append(Score("agreement", _agreement(agreements)))
    return tuple(scores)


def _top(k: int, own: Sequence[Outcome], beside: Sequence[Outcome]) -> Score:
    mine, theirs = ([o.rank is not None and o.rank < k for o in group] for group in (own, beside))
    value = share(sum(mine), len(mine))
    if not theirs:
        return Score(f"top{k}", value)
    return Score(f"top{k}", value, share(sum(theirs), len(theirs)), difference_of_shares(mine, theirs))


def _paired(metric: str, figures: Sequence[Figure], count: int) -> Score:
    """A figure of the artifact, and of the float network where there is a second one, by one bootstrap."""
    first, *rest = figures
    if not rest:
        return Score(metric, bootstrap(first, count))
    second = rest[0]
    return Score(
        metric,
        bootstrap(first, count),
        bootstrap(second, count),
        bootstrap(lambda weights: first(weights) - second(weights), count),
    )


def _figures(pixels: Sequence[PixelCounts], length: int) -> dict[str, Figure]:
    def table(rows: Sequence[tuple[int, ...]]) -> NDArray[np.float64]:
        return np.array([row + (0,) * (length - len(row)) for row in rows], dtype=np.float64)

    matched = table([p.matched for p in pixels])
    found, labelled = table([p.found for p in pixels]), table([p.labelled for p in pixels])

    def miou(weights: Weights) -> NDArray[np.float64]:
        """The mean over the classes that the labels have, as the papers count it."""
        hit, true = weights @ matched, weights @ labelled
        union = weights @ found + true - hit
        there = true > 0
        iou = np.divide(hit, union, out=np.zeros_like(hit), where=union > 0)
        return np.asarray((iou * there).sum(axis=1) / np.maximum(there.sum(axis=1), 1))

    def pixel_accuracy(weights: Weights) -> NDArray[np.float64]:
        return np.asarray((weights @ matched.sum(axis=1)) / np.maximum(weights @ labelled.sum(axis=1), 1))

    return {"miou": miou, "pixel_accuracy": pixel_accuracy}


def _agreement(agreements: Sequence[float]) -> Estimate:
    if set(agreements) <= {0.0, 1.0}:  # one label an image
        return share(round(sum(agreements)), len(agreements))
    return bootstrap(mean(agreements), len(agreements))
