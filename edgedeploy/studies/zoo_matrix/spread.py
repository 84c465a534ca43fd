"""How much of an int8 artifact's SQNR is chance: the same export, with ranges that are a few per cent wider.

Steps that are a hundredth larger change the average error by a hundredth, and where each value lies between them entirely.
Of a network with random weights many channels hold one value where an image is flat, and all of them are rounded alike; its
output then depends on which way.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.core.artifact import MANIFEST, Manifest
from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.parity import worst
from edgedeploy.core.storage.files import write_atomically
from edgedeploy.studies.results import Origin, made_by

from .cells import TARGETS, Cell, export_in_a_process

MARGINS = (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08)
INT8 = tuple(target for target in TARGETS if target.endswith("int8"))
ABOUT = (
    "Where a value lies between two steps decides whether it is rounded up or down. Many channels of a network with random",
    "weights hold one value where an image is flat; all of them are rounded alike, and which way is chance. Below are the",
    "same int8 exports with ranges that are 0 to 8 % wider (`range_margin`): mean and standard deviation of the SQNR in",
    "dB, smallest and largest. Filled by `python -m edgedeploy.studies.zoo_matrix --spread --only TEXT`.",
)


@dataclass(frozen=True)
class Spread:
    """The SQNR of one cell with ranges of several widths.

    Attributes:
        margins: by which share ranges were wider.
        sqnr_db: the SQNR with each.
        commit, machine: what made it.
    """

    margins: tuple[float, ...]
    sqnr_db: tuple[float, ...]
    commit: str = ""
    machine: str = ""

    def __str__(self) -> str:
        deviation = statistics.stdev(self.sqnr_db)
        return f"{self.mean_db:.1f} ± {deviation:.1f} ({min(self.sqnr_db):.1f} to {max(self.sqnr_db):.1f})"

    @property
    def mean_db(self) -> float:
        return statistics.mean(self.sqnr_db)


def measure(
    cell: Cell,
    folder: Path,
    origin: Origin,
    export: Callable[[Cell, Path, Sequence[str]], str] = export_in_a_process,
) -> Spread:
    """Exports an int8 cell once for each margin. Raises EdgedeployError for an export that fails."""
    figures = []
    for margin in MARGINS:
        recipe = folder / "recipes" / f"margin-{margin:g}.toml"
        recipe.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(recipe, f'base = "static_wi8_ai8"\nrange_margin = {margin:g}\n')
        output = folder / recipe.stem
        error = export(cell, output, ("--recipe", str(recipe)))
        if error:
            raise EdgedeployError(f"{cell} with ranges {margin:.0%} wider: {error}")
        parity = worst(Manifest.from_json((cell.path(output) / MANIFEST).read_bytes()).parity)
        assert parity is not None, "a network has outputs"
        figures.append(parity.sqnr)
    return Spread(MARGINS, tuple(figures), origin.commit, origin.machine)


def apart_on_average(network: str, spreads: Mapping[Cell, Spread]) -> float | None:
    """By how many dB the runtimes differ in the mean of their sets of ranges; None if it was not measured for all."""
    means = {cell.target: spread.mean_db for cell, spread in spreads.items() if cell.network == network}
    return max(means.values()) - min(means.values()) if len(means) == len(INT8) else None


def section(spreads: Mapping[Cell, Spread]) -> list[str]:
    """The page's lines about them; none where nothing was measured."""
    if not spreads:
        return []
    by_cell = {(cell.network, cell.target): spread for cell, spread in spreads.items()}
    lines = [f"| network | {' | '.join(INT8)} |", f"| --- |{' ---: |' * len(INT8)}"]
    for network in dict.fromkeys(cell.network for cell in spreads):
        lines.append(f"| {network} | {' | '.join(str(by_cell.get((network, target), '')) for target in INT8)} |")
    return ["", "## How much of an SQNR is chance", "", *ABOUT, "", *lines, "", *made_by(spreads.values())]
