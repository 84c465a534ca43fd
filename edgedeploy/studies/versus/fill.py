"""Fills the cells that are due, and times the artifacts of a network once all of them are there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from edgedeploy.core.storage.cache import key_of
from edgedeploy.studies.results import Origin, RecordFile

from . import measure
from .cells import Cell, Outcome, fingerprint, is_due


class Workshop(Protocol):
    """Who makes and measures artifacts."""

    def make(self, cell: Cell, folder: Path) -> str: ...

    def measure(self, path: Path, outcome: Outcome) -> Outcome: ...

    def take_turns(self, paths: Mapping[Cell, Path]) -> dict[Cell, int]: ...


OnCell = Callable[[Cell, Outcome, bool], None]


@dataclass(frozen=True)
class Filler:
    """Fills cells.

    Attributes:
        records: the outcomes by cell name.
        folder: where artifacts are kept.
        origin: recorded with each fresh outcome.
        on_cell: is called with each cell, its outcome, and whether it is fresh.
        again: tries naive paths that failed once more.
        workshop: the functions of measure.py.
    """

    records: RecordFile[Outcome]
    folder: Path
    origin: Origin
    on_cell: OnCell = lambda *_: None
    again: bool = False
    workshop: Workshop = measure

    def fill(self, wanted: Sequence[Cell]) -> dict[Cell, Outcome]:
        """Every wanted cell with its outcome."""
        outcomes: dict[Cell, Outcome] = {}
        for cell in wanted:
            outcomes[cell], fresh = self._filled(cell)
            self.on_cell(cell, outcomes[cell], fresh)
        return outcomes

    def time(self, outcomes: Mapping[Cell, Outcome]) -> dict[Cell, Outcome]:
        """The outcomes of one network's cells with their wall times, which are taken anew where any artifact changed.

        Artifacts that are missing here, as in a clone, are made again.
        """
        working = {cell: outcome for cell, outcome in outcomes.items() if not outcome.error}
        key = key_of(f"{cell} {outcome.fingerprint}" for cell, outcome in working.items())
        if all(outcome.timed_with == key for outcome in working.values()):
            return dict(outcomes)
        for cell in working:
            if not cell.path(self.folder).is_dir():
                self.workshop.make(cell, self.folder)
        there = {cell: cell.path(self.folder) for cell in working if cell.path(self.folder).is_dir()}
        medians = self.workshop.take_turns(there)
        timed = dict(outcomes)
        for cell, outcome in working.items():
            timed[cell] = replace(outcome, latency_ns=medians.get(cell), timed_with=key)
            self.records.add(str(cell), timed[cell])
        return timed

    def _filled(self, cell: Cell) -> tuple[Outcome, bool]:
        """A cell's outcome, and whether it is fresh."""
        known = self.records.read().get(str(cell))
        if known is not None and not is_due(cell, known, again=self.again):
            return known, False
        whole = self._filled(replace(cell, without=""))[0] if cell.without else None
        made = self._made(cell)
        if whole is not None:
            made = replace(made, with_rewrite=whole.instructions)
        self.records.add(str(cell), made)
        return made, True

    def _made(self, cell: Cell) -> Outcome:
        start = time.monotonic()
        error = self.workshop.make(cell, self.folder)
        outcome = Outcome(fingerprint(cell), 0.0, error, commit=self.origin.commit, machine=self.origin.machine)
        if not error:
            outcome = self.workshop.measure(cell.path(self.folder), outcome)
        return replace(outcome, seconds=round(time.monotonic() - start, 1))
