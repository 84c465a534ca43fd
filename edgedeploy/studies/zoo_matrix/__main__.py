"""Fills the matrix with a progress bar, and writes its page and the README's table anew after every cell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.storage.files import write_atomically
from edgedeploy.models.zoo import ZOO
from edgedeploy.studies.command import exit_with
from edgedeploy.studies.results import Origin, RecordFile

from .cells import (
    Cell,
    Outcome,
    Results,
    Workshop,
    cells,
    count_instructions,
    explain_artifact,
    export_in_a_process,
    of_cells,
    run,
)
from .page import cell_text, into_readme, render
from .spread import INT8, Spread, measure


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 where a cell failed or a float one missed its threshold."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    parser = argparse.ArgumentParser(prog="python -m edgedeploy.studies.zoo_matrix", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/zoo"), help="where artifacts are kept")
    parser.add_argument("--results", type=Path, default=Path("docs/zoo.json"), help="the outcome of each cell")
    parser.add_argument("--page", type=Path, default=Path("docs/zoo.md"), help="the page that is written")
    parser.add_argument("--readme", type=Path, default=Path("README.md"), help="the file whose marked table is written")
    parser.add_argument(
        "--only",
        nargs="+",
        default=(),
        metavar="TEXT",
        help="only cells whose name contains all of these: edgevit /onnx-int8 'at 256x256'",
    )
    parser.add_argument(
        "--spread", action="store_true", help="export the int8 cells with ranges of several widths: how much is chance?"
    )
    parser.add_argument("--spreads", type=Path, default=Path("docs/zoo_spread.json"), help="what --spread measured")
    options = parser.parse_args(arguments)
    everything = list(cells(ZOO))
    wanted = [cell for cell in everything if all(word in str(cell) for word in options.only)]
    if not wanted:
        parser.error(f"no cell's name contains all of: {' '.join(options.only)}")
    origin = Origin.here()
    results, outcomes = Results(options.results), dict[Cell, Outcome]()
    spreads = RecordFile(options.spreads, Spread)

    def write_page(known: Mapping[Cell, Outcome]) -> None:
        write_atomically(options.page, render(known, of_cells(spreads, everything)))

    if options.spread:

        def keep(cell: Cell, spread: Spread) -> None:
            spreads.add(str(cell), spread)
            write_page(results.read(everything))

        return _measure_spreads(wanted, options.output / "spread", origin, keep)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn()) as bar:
        task = bar.add_task(str(wanted[0]), total=len(wanted))

        def on_cell(cell: Cell, outcome: Outcome, fresh: bool) -> None:
            outcomes[cell] = outcome
            known = results.read(everything)
            write_page(known)
            if options.readme.is_file():
                write_atomically(options.readme, into_readme(options.readme.read_text(encoding="utf-8"), known))
            text = outcome.error or cell_text(outcome, cell.target, {})
            text += f"  {outcome.instructions / 1e6:.1f} M" if outcome.instructions else f"  {outcome.arm_error}"
            bar.print(f"{cell}  {text}  {f'{outcome.seconds:.0f} s' if fresh else 'as before'}", soft_wrap=True)
            following = wanted[len(outcomes)] if len(outcomes) < len(wanted) else cell
            bar.update(task, advance=1, description=str(following))

        workshop = Workshop(export_in_a_process, count_instructions, explain_artifact)
        run(wanted, options.output, workshop, results, on_cell, origin)
    bad = [o for cell, o in outcomes.items() if o.error or (o.missed and cell.target.endswith("fp32"))]
    print(f"{options.page}: {len(outcomes) - len(bad)} of {len(outcomes)} cells have an artifact; float ones in bounds")
    return 1 if bad else 0


def _measure_spreads(wanted: Iterable[Cell], folder: Path, origin: Origin, keep: Callable[[Cell, Spread], None]) -> int:
    """Measures the int8 cells; returns 1 where an export failed."""
    failed = 0
    for cell in (cell for cell in wanted if cell.target in INT8):
        try:
            spread = measure(cell, folder, origin)
        except EdgedeployError as error:
            print(f"error: {error}", file=sys.stderr)
            failed = 1
            continue
        keep(cell, spread)
        print(f"{cell}  {spread}", flush=True)
    return failed


if __name__ == "__main__":
    exit_with(main)
