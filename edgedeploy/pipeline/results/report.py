"""report: result files in, a text for people or for other programs out. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from edgedeploy.core.errors import UnknownName
from edgedeploy.core.measurement import ResultFile
from edgedeploy.core.results.report import Report, sides_of
from edgedeploy.core.results.result_files import joined, read_results

from .compare import CompareKeywords, compare, load_results
from .history import STORE, history_of

TERMINAL = "terminal"
FORMAT_NAMES = (TERMINAL, "markdown", "junit", "html", "github-action-benchmark", "bencher", "otava")


def make_report(
    results: Sequence[str | Path],
    base: str | Path | None = None,
    *,
    only: str = "",
    store: str | Path = STORE,
    **options: Unpack[CompareKeywords],
) -> Report:
    """The measurements of result files or folders, compared with `base` if there is one, with their history.

    Args:
        base: a result file, a folder, or a revision of the history.
        only: leave out rows whose "model/target" does not contain this.
        store: the history; left out where there is none.
        options: those of `compare`.

    Raises as `compare`, and UnknownName where no row is left.
    """
    read = [read_results(Path(path)) for path in results]
    files = [_part(file, only) for file in read]
    head = joined(files)
    if only and not head.measurements:
        raise UnknownName(
            "row", only, {f"{row.model}/{row.target}": None for file in read for row in file.measurements}
        )
    sides = tuple(side for file in files for side in sides_of(file.measurements, file.pairs))
    measured = sorted({(row.model, row.target) for row in head.measurements})
    mine = history_of(measured, store=store) if Path(store).is_dir() else ()
    if base is None:
        return Report(head.measurements, series=mine, pairs=head.pairs, sides=sides)
    old = _part(load_results(base, store), only)
    found = compare(old, head, names=(str(base), ", ".join(map(str, results))), store=store, **options)
    return Report(head.measurements, old.measurements, found, mine, head.pairs, sides)


def _part(file: ResultFile, only: str) -> ResultFile:
    """The rows that are asked for; of two in turns both or none, so that they stay beside their comparison."""
    wanted = [only in f"{row.model}/{row.target}" for row in file.measurements]
    sides = sides_of(file.measurements, file.pairs)
    turns = [index for index, side in enumerate(sides) if side]
    kept = [wanted[base] or wanted[head] for base, head in zip(turns[::2], turns[1::2], strict=True)]
    for number, index in enumerate(turns):
        wanted[index] = kept[number // 2]
    rows = tuple(row for row, is_wanted in zip(file.measurements, wanted, strict=True) if is_wanted)
    pairs = tuple(pair for pair, is_wanted in zip(file.pairs, kept, strict=False) if is_wanted)
    return replace(file, measurements=rows, pairs=pairs)


def render_report(report: Report, format_name: str) -> str:
    """The report in one of FORMAT_NAMES but the terminal's. Raises UnknownName, MissingExtra."""
    from edgedeploy.benchmarks.reports import FORMATS

    if format_name not in FORMATS:
        raise UnknownName("format", format_name, FORMAT_NAMES, hint=f"one of {', '.join(FORMAT_NAMES)}")
    return FORMATS[format_name](report)
