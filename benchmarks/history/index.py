"""The history in SQLite: built from the JSON Lines files, which stay the truth, and thrown away without loss.

Only what was appended since is read. SQLite and not another embedded engine: it comes with Python, the table is small, and
everybody can query it. The index lies in the cache folder and not beside the files, which live in git.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgedeploy.benchmarks.comparison.rows import context_of
from edgedeploy.benchmarks.statistics.launches import levels, split_launches
from edgedeploy.core.errors import UsageError
from edgedeploy.core.results.source import DIRTY
from edgedeploy.core.storage.cache import cache_folder
from edgedeploy.core.storage.files import output_errors

from .records import HistoryRecord
from .store import DamagedLine, HistoryStore, read_line

VERSION = 3
QUERY_LIMIT_S = 30.0
READING = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
COLUMNS = (
    "file", "offset", "id", "revision", "added_at", "started_at", "device", "context", "model", "target", "threads",
    "counted", "level", "launch_levels", "median_ns", "p90_ns", "instructions", "size_bytes", "load_ns",
    "peak_rss_bytes", "sqnr_db", "trustworthy", "artifact_sha256", "runtime_version",
)  # fmt: skip
SCHEMA = f"""
create table if not exists files (file text primary key, bytes integer, lines integer, beginning text);
create table if not exists damaged (file text, line integer, reason text);
create table if not exists measurements ({", ".join(COLUMNS)});
create unique index if not exists by_id on measurements (id, revision);
create index if not exists by_row on measurements (model, target, threads, counted, device, context);
create index if not exists by_revision on measurements (revision);
"""


def open_index(store: HistoryStore) -> sqlite3.Connection:
    """The up-to-date index of a store. Raises ResultsInvalid where there is no store."""
    files = store.files()
    name = hashlib.sha256(f"{store.folder.resolve()} {VERSION}".encode()).hexdigest()[:16]
    path = cache_folder("history") / f"{name}.sqlite"
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _updated(path, files)
    except sqlite3.OperationalError:  # it cannot be written: a full disk, a limit of the shell, another process's lock
        return _updated(":memory:", files)
    except sqlite3.DatabaseError:  # a damaged index costs its rebuilding
        path.unlink(missing_ok=True)
        return _updated(path, files)


def _updated(path: Path | str, files: Sequence[Path]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=60)
    try:
        _update(connection, files)
    except BaseException:
        connection.close()
        raise
    return connection


def query(store: HistoryStore, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The columns and rows of a query that only reads. Raises UsageError for one that SQLite refuses or that takes long."""
    connection = open_index(store)
    deadline = time.monotonic() + QUERY_LIMIT_S
    connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in READING else sqlite3.SQLITE_DENY)
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        cursor = connection.execute(sql)
        if cursor.description is None:
            raise sqlite3.ProgrammingError("it asks for nothing")
        return [column[0] for column in cursor.description], cursor.fetchall()
    except sqlite3.Error as error:
        reason = f"it took more than {QUERY_LIMIT_S:g} s" if str(error) == "interrupted" else str(error)
        raise UsageError(
            f"the query failed: {reason}", hint=f"the table measurements has the columns {', '.join(COLUMNS)}"
        ) from None
    finally:
        connection.close()


def damaged_lines(connection: sqlite3.Connection) -> list[DamagedLine]:
    """The lines of the store that are not records."""
    return [
        DamagedLine(*row) for row in connection.execute("select file, line, reason from damaged order by file, line")
    ]


def _update(connection: sqlite3.Connection, files: Sequence[Path]) -> None:
    connection.executescript(SCHEMA)
    with connection:
        connection.execute("begin immediate")
        known = {row[0]: row[1:] for row in connection.execute("select file, bytes, lines, beginning from files")}
        for gone in set(known) - {path.name for path in files}:
            _forget(connection, gone)
        for path in files:
            _update_file(connection, path, known.get(path.name, (0, 0, "")))


def _update_file(connection: sqlite3.Connection, path: Path, known: tuple[int, int, str]) -> None:
    done, lines, beginning = known
    size = path.stat().st_size
    if done and (size < done or _beginning(path, done) != beginning):  # rewritten, such as by a git checkout
        _forget(connection, path.name)
        done, lines = 0, 0
    if size == done:
        return
    with path.open("rb") as file:
        file.seek(done)
        data = file.read()
    data = data[: data.rfind(b"\n") + 1]  # half a line may still be being written
    rows, damaged, offset = [], [], done
    for line in data.split(b"\n")[:-1]:
        lines += 1
        found = read_line(line, path.name, lines) if line else None
        if isinstance(found, HistoryRecord):
            rows.append(_values(found, path.name, offset))
        elif found is not None:
            damaged.append((found.file, found.line, found.reason))
        offset += len(line) + 1
    marks = ", ".join("?" * len(COLUMNS))
    connection.executemany(f"insert or ignore into measurements values ({marks})", rows)
    connection.executemany("insert into damaged values (?, ?, ?)", damaged)
    facts = (path.name, done + len(data), lines, _beginning(path, done + len(data)))
    connection.execute("insert or replace into files values (?, ?, ?, ?)", facts)


def _forget(connection: sqlite3.Connection, file: str) -> None:
    for table in ("measurements", "damaged", "files"):
        connection.execute(f"delete from {table} where file = ?", (file,))


def _beginning(path: Path, length: int) -> str:
    """A hash of the first and last bytes of the first `length`."""
    with path.open("rb") as file:
        head = file.read(min(length, 4096))
        file.seek(max(0, length - 4096))
        return hashlib.sha256(head + file.read(min(length, 4096))).hexdigest()


def _values(record: HistoryRecord, file: str, offset: int) -> tuple[Any, ...]:
    row = record.measurement
    counted = row.instructions is not None
    medians = levels(split_launches(row.samples_ns, row.sample_launches)) if row.samples_ns else np.empty(0)
    level = (
        float(np.log(row.instructions.total)) if row.instructions else float(medians.mean()) if len(medians) else None
    )
    times = row.latency_ns
    return (
        file, offset, record.id, record.revision, record.added_at, row.started_at, row.device.display_name,
        msgspec.json.encode(context_of(row)).decode(), row.model, row.target, row.threads, counted, level,
        msgspec.json.encode(medians.tolist()).decode(), times.median if times else None, times.p90 if times else None,
        row.instructions.total if row.instructions else None, row.size_bytes, row.load_ns, row.peak_rss_bytes,
        row.parity.sqnr_db if row.parity else None, row.verdict.trustworthy if row.verdict else None,
        row.artifact_sha256, row.runtime_version,
    )  # fmt: skip


def records_of_revision(store: HistoryStore, revision: str) -> Iterator[HistoryRecord]:
    """The records of a revision, given by the beginning of its name, the newest last.

    What was measured with changes to that revision is another one: only a name that ends with the mark of it finds it.
    """
    connection = open_index(store)
    start, dirty = revision.removesuffix(DIRTY), revision.endswith(DIRTY)
    wanted = f"revision >= ? and revision < ? and (revision like '%{DIRTY}') = ?"
    sql = f"select file, offset from measurements where {wanted} order by added_at, offset"
    places = connection.execute(sql, (start, start + "\uffff", dirty)).fetchall()
    connection.close()
    for file, offset in places:
        with (store.folder / file).open("rb") as opened:
            opened.seek(offset)
            found = read_line(opened.readline().rstrip(b"\n"), file, 0)
        if isinstance(found, HistoryRecord):
            yield found
