"""history: measurements over time. Imports no torch."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedeploy.core.errors import Regression, UnknownName, UsageError
from edgedeploy.core.measurement import Measurement, ResultFile
from edgedeploy.core.results.comparison import counted
from edgedeploy.core.results.history import Series
from edgedeploy.core.results.report import rows_of_head
from edgedeploy.core.results.result_files import read_result_files
from edgedeploy.core.results.source import DIRTY, SourcedResults
from edgedeploy.pipeline.measuring.revisions import git_revision

STORE = Path("history")
HINT = 'edgedeploy history query "select distinct revision from measurements"'
RECENT = 20  # measurements in which a change point is news


@dataclass(frozen=True)
class History:
    """What a store has: the course of each row, and the lines that are not readable."""

    series: tuple[Series, ...]
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Added:
    """What `add` did: how many measurements came into which files.

    Attributes:
        revisions: what was measured; "" for files that do not say it.
    """

    count: int
    files: tuple[str, ...]
    revisions: tuple[str, ...]


def add_to_history(results: Sequence[str | Path], *, store: str | Path = STORE, revision: str | None = None) -> Added:
    """Appends the measurements of result files to the store. `revision` is the one that `bench` recorded, unless given.

    Raises ResultsInvalid before anything is written, OutputFailed.
    """
    from edgedeploy.benchmarks.history import HistoryStore

    opened, read = HistoryStore(Path(store)), [file for path in results for file in read_result_files(Path(path))]
    groups: dict[str, list[Measurement]] = {}
    for file in read:
        groups.setdefault(revision_of(file) if revision is None else revision, []).extend(rows_of_head(file))
    files = dict.fromkeys(path for named, rows in groups.items() for path in opened.add(rows, named))
    return Added(sum(map(len, groups.values())), tuple(map(str, files)), tuple(groups))


def revision_of(file: SourcedResults) -> str:
    """The revision that a bench recorded, marked where the tree was dirty; "" where it recorded none."""
    return str(file.source or "")


def list_history(pattern: str = "", *, device: str = "", store: str | Path = STORE) -> History:
    """The rows whose "model/target" contains `pattern`, each over time. Raises ResultsInvalid without a store."""
    from edgedeploy.benchmarks.history import HistoryStore, find_series
    from edgedeploy.benchmarks.history.index import damaged_lines, open_index

    connection = open_index(HistoryStore(Path(store)))
    try:
        found = find_series(connection, pattern, device)
        return History(tuple(found), tuple(map(str, damaged_lines(connection))))
    finally:
        connection.close()


def history_of(artifacts: Collection[tuple[str, str]], *, store: str | Path = STORE) -> tuple[Series, ...]:
    """The rows of these models and targets, each over time. Raises ResultsInvalid without a store."""
    from edgedeploy.benchmarks.history import HistoryStore
    from edgedeploy.benchmarks.history.index import open_index
    from edgedeploy.benchmarks.history.series import series_of

    with contextlib.closing(open_index(HistoryStore(Path(store)))) as connection:
        return tuple(series_of(connection, artifacts))


def query_history(sql: str, *, store: str | Path = STORE) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Columns and rows of an SQL query on the table `measurements`. Raises UsageError."""
    from edgedeploy.benchmarks.history import HistoryStore
    from edgedeploy.benchmarks.history.index import query

    return query(HistoryStore(Path(store)), sql)


def check_history(found: History) -> None:
    """Raises Regression for rows that became slower within their last RECENT measurements."""
    slower = [
        f"{series.key} on {series.device}: {change.change:+.1%} since "
        f"{change.revision or series.points[change.index].started_at}, {series.total_change:+.1%} in all"
        for series in found.series
        for change in series.changes[-1:]
        if change.change > 0 and change.index >= len(series.points) - RECENT
    ]
    if slower:
        raise Regression(f"{counted(len(slower), 'row')} became slower", details=slower)


def results_of_revision(revision: str, store: str | Path = STORE) -> ResultFile:
    """The measurements of a revision in the store, of each row the newest.

    `revision` is a name in the store, what git knows as one, or the beginning of one.

    Raises UnknownName, UsageError where it is the beginning of several, ResultsInvalid.
    """
    from edgedeploy.benchmarks.comparison.rows import key_of
    from edgedeploy.benchmarks.history import HistoryStore
    from edgedeploy.benchmarks.history.index import records_of_revision, revisions_of

    opened = HistoryStore(Path(store))
    rows = {
        (key_of(found.measurement), found.measurement.device.name): found.measurement
        for found in records_of_revision(opened, _revision_meant(revision, revisions_of(opened)))
    }
    return ResultFile.of(list(rows.values()))


def _revision_meant(revision: str, known: Sequence[str]) -> str:
    """The name in the store. What was measured with changes is another revision, which only a name with its mark finds."""
    if revision in known:
        return revision
    wanted = git_revision(revision) or revision
    start, dirty = wanted.removesuffix(DIRTY), wanted.endswith(DIRTY)
    begun = [name for name in known if name.startswith(start)]
    found = [name for name in begun if name.endswith(DIRTY) == dirty]
    if len(found) > 1:
        raise UsageError(f"'{revision}' is the beginning of several revisions of the history", details=found, hint=HINT)
    if not found:
        hint = f"it was measured with changes that were not committed: {revision}{DIRTY}" if begun else HINT
        raise UnknownName("file or revision of the history", revision, known, hint=hint)
    return found[0]
