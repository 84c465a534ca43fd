"""Fills the comparison with a progress bar, and writes benchmarks/RESULTS.md anew after every cell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from edgedeploy.core.storage.files import write_atomically
from edgedeploy.models.zoo import ZOO
from edgedeploy.studies.command import exit_with
from edgedeploy.studies.results import Origin, RecordFile

from .cells import (
    NETWORKS,
    Cell,
    Outcome,
    compared_cells,
    form_cells,
    in_order,
    left_out_cells,
)
from .fill import Filler
from .page import render


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 where an own path failed."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    options = _parser().parse_args(arguments)
    records = RecordFile(options.results, Outcome)
    families = {model: ZOO[model].family for model in NETWORKS}
    compared = list(compared_cells(families))
    whole = sorted([*compared, *form_cells(families)], key=lambda cell: NETWORKS.index(cell.model))
    everything = [*whole, *left_out_cells(in_order(records.read(), compared))]
    chosen = everything[len(whole) :] if options.leave_one_out else whole
    wanted = [cell for cell in chosen if all(word in str(cell) for word in options.only)]
    if not chosen:
        print("error: no own cell is filled yet; run it without --leave-one-out first", file=sys.stderr)
        return 2
    if not wanted:
        print(f"error: no cell's name contains all of: {' '.join(options.only)}", file=sys.stderr)
        return 2
    origin = Origin.here()
    done: dict[Cell, Outcome] = {}
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()) as bar:
        task = bar.add_task(str(wanted[0]), total=len(wanted))

        def write_page() -> None:
            write_atomically(options.page, render(in_order(records.read(), everything)))

        def on_cell(cell: Cell, outcome: Outcome, fresh: bool) -> None:
            done[cell] = outcome
            write_page()
            text = outcome.error or f"{(outcome.instructions or 0) / 1e6:.1f} M"
            bar.print(f"{cell}  {text}  {f'{outcome.seconds:.0f} s' if fresh else 'as before'}", soft_wrap=True)
            following = wanted[len(done)] if len(done) < len(wanted) else cell
            bar.update(task, advance=1, description=str(following))

        filler = Filler(records, options.output, origin, on_cell, options.retry_failed)
        for model, group in groupby(wanted, key=lambda cell: cell.model):
            outcomes = filler.fill(list(group))
            if options.time or set(outcomes) >= {cell for cell in compared if cell.model == model}:
                bar.update(task, description=f"{model}: wall time")
                filler.time({cell: outcome for cell, outcome in outcomes.items() if cell in compared})
                write_page()
    failed = [cell for cell, outcome in done.items() if outcome.error]
    own = [cell for cell in failed if cell.side == "own"]
    print(f"{options.page}: {len(done)} cells, {len(failed)} fail, {len(own)} of them own")
    return 1 if own and not options.leave_one_out else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m edgedeploy.studies.versus", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/versus"), help="where artifacts are kept")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/versus.json"), help="the outcome of each cell")
    parser.add_argument("--page", type=Path, default=Path("benchmarks/RESULTS.md"), help="the page that is written")
    parser.add_argument(
        "--only",
        nargs="+",
        default=(),
        metavar="TEXT",
        help="only cells whose name contains all of these: edgevit naive; /tflite-int8/own",
    )
    parser.add_argument(
        "--leave-one-out",
        action="store_true",
        help="instead: every own artifact once more without each of the rewrites that were applied to it",
    )
    parser.add_argument(
        "--time",
        action="store_true",
        help="time the chosen cells of a network in turns, although the others are not among them",
    )
    parser.add_argument("--retry-failed", action="store_true", help="try naive paths that failed once more")
    return parser


if __name__ == "__main__":
    exit_with(main)
