"""What a report is made of."""

from __future__ import annotations

from dataclasses import dataclass

from edgedeploy.core.measurement import Measurement

from .comparison import Comparison, RowComparison
from .history import Series


@dataclass(frozen=True)
class Report:
    """Measurements, and what they are seen against.

    Attributes:
        rows: the measurements that are reported.
        base_rows, comparison: of the comparison, if there is one.
        series: the history of the rows, where there is one.
    """

    rows: tuple[Measurement, ...]
    base_rows: tuple[Measurement, ...] = ()
    comparison: Comparison | None = None
    series: tuple[Series, ...] = ()

    @property
    def headline(self) -> str:
        """The outcome in one line."""
        if self.comparison:
            return self.comparison.headline
        doubted = sum(bool(row.verdict and not row.verdict.trustworthy) for row in self.rows)
        trust = f"{doubted} not trustworthy" if doubted else "all trustworthy"
        return f"{len(self.rows)} rows measured, {trust}"

    def compared(self, row: Measurement) -> RowComparison | None:
        """The comparison of a row."""
        found = self.comparison.rows if self.comparison else ()
        counted = row.instructions is not None
        wanted = (row.model, row.target, row.threads, counted)
        return next((c for c in found if (c.key.model, c.key.target, c.key.threads, c.key.counted) == wanted), None)
