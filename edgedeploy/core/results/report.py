"""What a report is made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from edgedeploy.core.measurement import Measurement

from .comparison import Comparison, RowComparison, RowKey, device_labels, identity_of
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
        wanted = RowKey(row.model, row.target, row.threads, row.instructions is not None, self.device_of(row))
        return next((compared for compared in found if compared.key == wanted), None)

    def base_of(self, row: Measurement) -> Measurement | None:
        """What a row was compared with: the same row on its device, else the only one that there is."""
        wanted = (row.model, row.target, row.threads, row.instructions is None)
        found = [
            base
            for base in self.base_rows
            if (base.model, base.target, base.threads, base.instructions is None) == wanted
        ]
        here = [base for base in found if identity_of(base.device) == identity_of(row.device)]
        return here[0] if here else found[0] if len(found) == 1 and self.compared(row) else None

    def device_of(self, row: Measurement) -> str:
        """What people call the row's device, where the report has several; else ""."""
        return self._labels.get(identity_of(row.device), "")

    @cached_property
    def _labels(self) -> dict[str, str]:
        return device_labels(row.device for row in (*self.base_rows, *self.rows))
