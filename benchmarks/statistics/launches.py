"""Samples by launch of the runner, and where each launch reaches its steady state.

Two processes differ more than two inferences of one (address layout, memory placement, the core that the threads got), so
a launch is the unit of everything that follows: its level is one observation, however many samples it has.

The steady state is found by the marginal standard error rule, MSER-5 (K. P. White, "An effective truncation heuristic for
bias reduction in simulation output", Simulation 69(6), 1997): of all truncations of the beginning take the one whose
remaining means of five samples have the smallest standard error of their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]
BATCH = 5
CLIP = 0.95  # outliers above this quantile are pulled in: one of them at the end must not look like a beginning
ALIKE = 1.1  # the first truncation whose error is within a tenth of the smallest is taken: noise moves the smallest
STILL = 0.02  # a beginning that is as near to the rest as this is no warm-up
MIN_SAMPLES = 4 * BATCH  # a launch of fewer has no steady state that could be found


@dataclass(frozen=True)
class Launch:
    """The samples of one launch in their order, in ns.

    Attributes:
        warmup: how many of the first ones came before the steady state.
        settled: False where no steady state was found: the best truncation was the last one allowed, half of all, and
            what came just before it was still different.
        moved: relative difference of what came just before the truncation from the rest.
    """

    samples: Samples
    warmup: int = 0
    settled: bool = True
    moved: float = 0.0

    @property
    def steady(self) -> Samples:
        """The samples of the steady state."""
        return self.samples[self.warmup :]


def split_launches(samples_ns: Sequence[int], sample_launches: Sequence[int]) -> list[Launch]:
    """The launches of a row, in their order. A row without launch numbers is one launch."""
    samples = np.asarray(samples_ns, dtype=np.float64)
    numbers = np.asarray(sample_launches) if len(sample_launches) == len(samples) else np.zeros(len(samples))
    return [find_steady_state(samples[numbers == number]) for number in np.unique(numbers)]


def find_steady_state(samples: Samples) -> Launch:
    """The launch with its warm-up cut off by MSER-5."""
    if len(samples) < MIN_SAMPLES:
        return Launch(samples)
    clipped = np.minimum(samples, np.quantile(samples, CLIP))
    batches = clipped[: len(clipped) // BATCH * BATCH].reshape(-1, BATCH).mean(axis=1)
    latest = len(batches) // 2
    remaining = np.arange(len(batches), 0, -1)
    sums, squares = np.cumsum(batches[::-1])[::-1], np.cumsum(batches[::-1] ** 2)[::-1]
    errors = ((squares - sums**2 / remaining) / remaining**2)[: latest + 1]
    best = int(np.argmax(errors <= ALIKE * errors.min()))
    beginning, rest = samples[best // 2 * BATCH : best * BATCH], samples[best * BATCH :]
    moved = abs(float(np.median(beginning) / np.median(rest)) - 1) if best else 0.0
    return Launch(samples, best * BATCH, settled=best < latest or moved < STILL, moved=moved)


def steady_samples(launches: Sequence[Launch]) -> Samples:
    """The steady samples of all launches, one after the other."""
    return np.concatenate([launch.steady for launch in launches]) if launches else np.empty(0)


def levels(launches: Sequence[Launch], quantile: float = 0.5) -> Samples:
    """Each launch's level: the natural logarithm of a quantile of its steady samples. Differences are relative changes."""
    return np.log([float(np.quantile(launch.steady, quantile)) for launch in launches])
