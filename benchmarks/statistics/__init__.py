"""From raw samples to figures, how sure they are, and whether two measurements differ.

launches.py     samples by launch, and where each reaches its steady state
summary.py      minimum, median, percentiles      intervals.py  their intervals
shape.py        drift, two modes, outliers        trust.py      trustworthy or not, why, what to do
noise.py        how much two measurements of one artifact differ
sustained.py    the course under continuous load
paired.py       differences within the blocks of an interleaved measurement
"""

from __future__ import annotations

from .summary import summarise
from .trust import assess

__all__ = ["assess", "summarise"]
