"""report: result files in, a text for people or for other programs out. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from edgedeploy.core.errors import UnknownName
from edgedeploy.core.measurement import ResultFile
from edgedeploy.core.results.report import Report
from edgedeploy.core.results.result_files import read_results

from .compare import CompareKeywords, compare, load_results
from .history import STORE, history_of

TERMINAL = "terminal"
FORMAT_NAMES = (TERMINAL, "markdown", "junit", "html", "github-action-benchmark", "bencher", "otava")


def make_report(
    results: Sequence[str | Path],
    base: str | Path | None = None,
    *,
    store: str | Path = STORE,
    **options: Unpack[CompareKeywords],
) -> Report:
    """The measurements of result files or folders, compared with `base` if there is one, with their history.

    Args:
        base: a result file, a folder, or a revision of the history.
        store: the history; left out where there is none.
        options: those of `compare`.

    Raises as `compare`.
    """
    files = [read_results(Path(path)) for path in results]
    head = ResultFile(tuple(row for file in files for row in file.measurements), tool=files[-1].tool)
    measured = sorted({(row.model, row.target) for row in head.measurements})
    mine = history_of(measured, store=store) if Path(store).is_dir() else ()
    if base is None:
        return Report(head.measurements, series=mine)
    old = load_results(base, store)
    found = compare(old, head, names=(str(base), ", ".join(map(str, results))), store=store, **options)
    return Report(head.measurements, old.measurements, found, mine)


def render_report(report: Report, format_name: str) -> str:
    """The report in one of FORMAT_NAMES but the terminal's. Raises UnknownName, MissingExtra."""
    from edgedeploy.benchmarks.reports import FORMATS

    if format_name not in FORMATS:
        raise UnknownName("format", format_name, FORMAT_NAMES, hint=f"one of {', '.join(FORMAT_NAMES)}")
    return FORMATS[format_name](report)
