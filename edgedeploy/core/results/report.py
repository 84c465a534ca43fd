"""What a report is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from edgedeploy.core.measurement import Measurement, ResultFile

from .comparison import Comparison, RowComparison, RowKey, counted, device_labels, identity_of, may_be_one
from .history import Series
from .paired import INTERLEAVED, PairedComparison

Status = Literal["failed", "unsure", "passed"]


def sides_of(rows: Sequence[Measurement], pairs: Sequence[PairedComparison]) -> tuple[str, ...]:
    """For each row of a result file "base" or "head", where it was measured in turns with the other one; else ""."""
    turns = [index for index, row in enumerate(rows) if row.protocol == INTERLEAVED]
    if len(turns) != 2 * len(pairs):
        return ("",) * len(rows)
    sides = {index: ("base", "head")[number % 2] for number, index in enumerate(turns)}
    return tuple(sides.get(index, "") for index in range(len(rows)))


def rows_of_head(file: ResultFile) -> list[Measurement]:
    """The rows of a result file without the base of two that were measured in turns under one name: it belongs to another
    revision.
    """
    sided = list(zip(file.measurements, sides_of(file.measurements, file.pairs), strict=True))
    heads = {(row.model, row.target, row.threads) for row, side in sided if side == "head"}
    return [row for row, side in sided if side != "base" or (row.model, row.target, row.threads) not in heads]


@dataclass(frozen=True)
class Report:
    """Measurements, and what they are seen against.

    Attributes:
        rows: the measurements that are reported.
        base_rows, comparison: of the comparison, if there is one.
        series: the history of the rows, where there is one.
        pairs: what was found where two artifacts were measured in turns.
        sides: for each row "base" or "head" of such a pair, else ""; () where there is none.
    """

    rows: tuple[Measurement, ...]
    base_rows: tuple[Measurement, ...] = ()
    comparison: Comparison | None = None
    series: tuple[Series, ...] = ()
    pairs: tuple[PairedComparison, ...] = ()
    sides: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """The outcome in one line."""
        parts = [self.comparison.headline] if self.comparison else []
        if self.pairs:
            counts = Counter(pair.verdict for pair in self.pairs)
            found = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
            parts.append(f"{counted(len(self.pairs), 'comparison')} in turns: {found}")
        if not self.comparison and (self._alone or not parts):
            trust = f"{self._doubted} not trustworthy" if self._doubted else "all trustworthy"
            parts.append(f"{counted(len(self._alone), 'row')} measured, {trust}")
        return "; ".join(parts)

    @property
    def status(self) -> Status:
        """Whether something became slower or worse ("failed"), is unknown, missing, forced or not trusted ("unsure")."""
        found = self.comparison
        if (found and list(found.regressions())) or any(pair.verdict == "slower" for pair in self.pairs):
            return "failed"
        if found:
            unsure = (
                bool(found.only_in_base or found.forced or list(found.unknown_budgets())) or found.count("unknown") > 0
            )
        else:
            unsure = self._doubted > 0
        return "unsure" if unsure or any(pair.verdict == "not trustworthy" for pair in self.pairs) else "passed"

    def side_of(self, row: Measurement) -> str:
        """ "base" or "head" of a pair that was measured in turns, else ""."""
        return self._turns[id(row)][0] if id(row) in self._turns else ""

    def pair_of(self, row: Measurement) -> PairedComparison | None:
        """The comparison in turns that a row is one side of."""
        return self._turns[id(row)][1] if id(row) in self._turns else None

    def compared(self, row: Measurement) -> RowComparison | None:
        """The comparison of a row."""
        key = RowKey(row.model, row.target, row.threads, row.instructions is not None, self.device_of(row))
        return self._compared.get(key)

    def remarks(self) -> Iterator[str]:
        """What a reader must know beside the figures of compared rows; each line names its row or budget."""
        for row in self.comparison.rows if self.comparison else ():
            yield from (f"{row.key}: {remark}" for remark in row.remarks())
        yield from self.comparison.unknown_budgets() if self.comparison else ()

    def base_of(self, row: Measurement) -> Measurement | None:
        """What a row was compared with: the same row on its device, else the only one that there is."""
        wanted = (row.model, row.target, row.threads, row.instructions is None)
        found = [
            base
            for base in self.base_rows
            if (base.model, base.target, base.threads, base.instructions is None) == wanted
        ]
        here = [base for base in found if identity_of(base.device) == identity_of(row.device)]
        here = here or [base for base in found if may_be_one(base.device, row.device)]
        return here[0] if here else found[0] if len(found) == 1 and self.compared(row) else None

    def device_of(self, row: Measurement) -> str:
        """What people call the row's device, where the report has several; else ""."""
        return self._labels.get(identity_of(row.device), "")

    @cached_property
    def _alone(self) -> list[Measurement]:
        """The rows that were not measured in turns with another one."""
        return [row for row in self.rows if not self.side_of(row)]

    @cached_property
    def _doubted(self) -> int:
        """How many of these are not trustworthy."""
        return sum(bool(row.verdict and not row.verdict.trustworthy) for row in self._alone)

    @cached_property
    def _compared(self) -> dict[RowKey, RowComparison]:
        return {compared.key: compared for compared in self.comparison.rows} if self.comparison else {}

    @cached_property
    def _turns(self) -> dict[int, tuple[str, PairedComparison]]:
        turns = [(id(row), side) for row, side in zip(self.rows, self.sides, strict=False) if side]
        return {of: (side, self.pairs[number // 2]) for number, (of, side) in enumerate(turns)}

    @cached_property
    def _labels(self) -> dict[str, str]:
        return device_labels(row.device for row in (*self.base_rows, *self.rows))
