"""How much two measurements of one artifact differ: the noise model, and what a comparison can therefore find.

A launch's level (the logarithm of its median) is  true level + session + launch:  the session is what two measurements at
different times differ by, the launch what two processes differ by. Three launches say little about their spread, so it is
combined with a prior, as in the moderated t-test (G. K. Smyth, Statistical Applications in Genetics and Molecular Biology
3(1), 2004):

    s² = (d0 s0² + d s²launches) / (d0 + d)

Without history the prior is a cautious guess; with measurements of the same artifact on the same device it is learned. The
90th percentile has a model of its own: two sessions of one artifact differ far more in it than in the median, because a
second mode, or an outlier more in ten samples, moves it and not the median.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .launches import Samples

FALSE_ALARM_RATE = 1 / 200  # of one comparison, over all its rows
POWER = 0.95
CAUTION = 1.5  # times the launches' spread; the simulation of docs/verdicts.md shows what smaller ones let through
MAX_DEGREES = (
    10.0  # what a learned prior counts for at most: devices change, and a few sessions have modes, most have none
)


@dataclass(frozen=True)
class NoiseModel:
    """The spread of one artifact on one device; all relative.

    Attributes:
        launch_sd: s0, of the levels of launches within a measurement.
        launch_degrees: d0, how many degrees of freedom it counts for.
        session_sd: of measurements at different times.
        session_degrees: the same for it.
        measurements: how many it was learned from; 0 for the guess.
    """

    launch_sd: float = 0.015
    launch_degrees: float = 6.0
    session_sd: float = 0.006
    session_degrees: float = 10.0
    measurements: int = 0

    def spread(self, *groups: Samples) -> Spread:
        """The standard error of the difference of the means of two groups of launch levels; of one and an equal other."""
        degrees = sum(len(group) - 1 for group in groups)
        squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
        launch_variance = (self.launch_degrees * self.launch_sd**2 + squares) / (self.launch_degrees + degrees)
        pair = groups if len(groups) == 2 else (*groups, *groups)
        launches = launch_variance * sum(1 / len(group) for group in pair)
        sessions = 2 * self.session_sd**2
        # Satterthwaite's degrees of freedom of a sum of two estimated variances
        combined = (launches + sessions) ** 2 / (
            launches**2 / (self.launch_degrees + degrees) + sessions**2 / self.session_degrees
        )
        return Spread(float(np.sqrt(launches + sessions)), combined)

    def cautious(self, *groups: Samples) -> NoiseModel:
        """The model for the claim that nothing changed: where sessions were never seen to repeat, they are assumed to
        differ by more than the launches of these groups do.
        """
        degrees = sum(len(group) - 1 for group in groups)
        if self.measurements or not degrees:
            return self
        squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
        return replace(self, session_sd=max(self.session_sd, CAUTION * float(np.sqrt(squares / degrees))))


TAIL = NoiseModel(launch_sd=0.03, session_sd=0.03)  # the guess for the 90th percentile


@dataclass(frozen=True)
class RowNoise:
    """The noise models of a row's median and of its 90th percentile."""

    median: NoiseModel = NoiseModel()
    p90: NoiseModel = TAIL

    def of(self, metric: str) -> NoiseModel:
        """That of "median" or "p90"."""
        return self.p90 if metric == "p90" else self.median


@dataclass(frozen=True)
class Spread:
    """The standard error of a difference, and its degrees of freedom."""

    standard_error: float
    degrees: float

    def p_value(self, difference: float) -> float:
        """Two-sided, of Student's t."""
        from scipy.special import stdtr

        return float(2 * stdtr(self.degrees, -abs(difference) / self.standard_error))

    def half_width(self, rate: float) -> float:
        """Half the width of the interval that misses the difference at `rate`."""
        from scipy.special import stdtrit

        return float(self.standard_error * stdtrit(self.degrees, 1 - rate / 2))

    def smallest_change(self, rate: float = FALSE_ALARM_RATE, power: float = POWER) -> float:
        """The smallest relative change that is found with probability `power` at this false-alarm rate."""
        from scipy.special import stdtrit

        found = self.half_width(rate) + self.standard_error * stdtrit(self.degrees, power)
        return float(np.expm1(found))


def learn_noise(artifacts: Sequence[Sequence[Samples]], prior: NoiseModel | None = None) -> NoiseModel:
    """The noise model of repeated measurements on one device under one context.

    Args:
        artifacts: for each artifact its measurements, each the levels of its launches. Those measured once are left out.
        prior: what is believed without them; it counts as its own degrees of freedom.
    """
    prior = prior or NoiseModel()
    repeated = [runs for runs in artifacts if len(runs) > 1]
    launches = [run for runs in repeated for run in runs]
    if not launches:
        return prior
    squares = sum(float(((run - run.mean()) ** 2).sum()) for run in launches)
    launch_degrees = prior.launch_degrees + sum(len(run) - 1 for run in launches)
    launch_variance = (prior.launch_degrees * prior.launch_sd**2 + squares) / launch_degrees
    degrees = sum(len(runs) - 1 for runs in repeated)
    means = [np.array([run.mean() for run in runs]) for runs in repeated]
    variance = sum(float(((of_one - of_one.mean()) ** 2).sum()) for of_one in means) / degrees
    within = float(np.mean([launch_variance / len(run) for run in launches]))
    session_degrees = prior.session_degrees + degrees
    between = degrees * max(variance - within, 0.0)
    session_variance = (prior.session_degrees * prior.session_sd**2 + between) / session_degrees
    return NoiseModel(
        float(np.sqrt(launch_variance)),
        min(launch_degrees, MAX_DEGREES),
        float(np.sqrt(session_variance)),
        min(session_degrees, MAX_DEGREES),
        len(launches),
    )
