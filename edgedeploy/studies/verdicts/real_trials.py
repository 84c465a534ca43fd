"""Comparisons of real measurements on this machine: of an artifact with itself, and with a slower one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import edgedeploy
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.comparison import RowComparison


def compare_repeatedly(base: Path, head: Path, trials: int) -> Iterator[RowComparison]:
    """Measures both, one after the other, `trials` times, and compares each pair at the defaults."""
    for _ in range(trials):
        pair = [edgedeploy.bench([artifact]) for artifact in (base, head)]
        for rows in pair:  # one name for both, so that they are one row
            rows[0] = _renamed(rows[0])
        yield edgedeploy.compare(pair[0], pair[1]).rows[0]


def _renamed(row: Measurement) -> Measurement:
    return replace(row, model="trial", target="trial")


def summary(rows: Iterator[RowComparison]) -> str:
    """How many of each verdict; printed after each trial, since they take their time."""
    counts: Counter[str] = Counter()
    for row in rows:
        doubted = row.verdict == "unknown" and row.reason.startswith("not trustworthy")
        counts["not trustworthy" if doubted else row.verdict] += 1
        change = row.difference.change if row.difference else 0.0
        print(f"{sum(counts.values())}: {change:+.1%} {row.verdict} {row.reason}", flush=True)
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
