"""The history in SQLite: built from the JSON Lines files, which stay the truth, and thrown away without loss.

Only what was appended since is read, or all of it where a file was rewritten, and of a line its figures; measurements are
read where somebody asks for them. SQLite and not another embedded engine: it comes with Python, the table is small, and
everybody can query it. The index lies in the cache folder and not beside the files, which live in git.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedeploy.benchmarks.comparison.rows import context_of
from edgedeploy.core.errors import UsageError
from edgedeploy.core.storage.cache import cache_folder
from edgedeploy.core.storage.files import output_errors

from .figures import FIGURES_VERSION
from .lines import COLUMNS, index_row
from .records import HistoryRecord
from .store import DamagedLine, HistoryStore

VERSION = 5
QUERY_LIMIT_S = 30.0
KNOWN = "bytes, lines, beginning, modified"
READING = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
TABLES = f"""
create table if not exists files (file text primary key, bytes integer, lines integer, beginning text, modified integer);
create table if not exists damaged (file text, line integer, reason text);
create table if not exists measurements ({", ".join(COLUMNS)});
"""
KEYS = {
    "by_id": "create unique index if not exists by_id on measurements (id, revision)",
    "by_row": "create index if not exists by_row on measurements (model, target, threads)",
    "by_revision": "create index if not exists by_revision on measurements (revision)",
}
FIRST_OF_EACH = "select min(rowid) from measurements group by id, revision"
INSERT = f"insert or ignore into measurements values ({', '.join('?' * len(COLUMNS))})"


class HistoryIndex:
    """The index of a store, and what only the store has."""

    def __init__(self, store: HistoryStore, connection: sqlite3.Connection) -> None:
        self.store, self.connection = store, connection

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """The answer to a statement of ours; users' own go through `query`."""
        return self.connection.execute(sql, values)

    def context_at(self, file: str, offset: int) -> Mapping[str, str]:
        """What must be equal for two rows to be comparable, by name; empty where the line is not readable any more."""
        found = self.store.record_at(file, offset)
        return context_of(found.measurement) if isinstance(found, HistoryRecord) else {}

    def close(self) -> None:
        """Closes the database."""
        self.connection.close()


def index_path(store: HistoryStore) -> Path:
    """Where the index of a store lies; that of another version of it, or of the figures, lies elsewhere."""
    name = hashlib.sha256(f"{store.folder.resolve()} {VERSION} {FIGURES_VERSION}".encode()).hexdigest()[:16]
    return cache_folder("history") / f"{name}.sqlite"


def open_index(store: HistoryStore) -> HistoryIndex:
    """The up-to-date index of a store. Raises ResultsInvalid where there is no store."""
    files = store.files()
    path = index_path(store)
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return HistoryIndex(store, _updated(path, files))
    except sqlite3.OperationalError:  # it cannot be written: a full disk, a limit of the shell, another process's lock
        return HistoryIndex(store, _updated(":memory:", files))
    except sqlite3.DatabaseError:  # a damaged index costs its rebuilding
        path.unlink(missing_ok=True)
        return HistoryIndex(store, _updated(path, files))


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
    connection = open_index(store).connection
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


def damaged_lines(index: HistoryIndex) -> list[DamagedLine]:
    """The lines of the store that are not records."""
    return [DamagedLine(*row) for row in index.execute("select file, line, reason from damaged order by file, line")]


def _update(connection: sqlite3.Connection, files: Sequence[Path]) -> None:
    connection.execute("pragma synchronous = off")  # an index that is lost is built again; the rollback journal stays
    connection.executescript(TABLES)
    with connection:
        connection.execute("begin immediate")
        known = {row[0]: _Known(*row[1:]) for row in connection.execute(f"select file, {KNOWN} from files")}
        paths = {path.name: path for path in files}
        if any(name not in paths or _is_rewritten(paths[name], facts) for name, facts in known.items()):
            known = {}  # all of it is read again: a row may be in another file, too
            for table in ("measurements", "damaged", "files"):
                connection.execute(f"delete from {table}")
        is_empty = connection.execute("select 1 from measurements limit 1").fetchone() is None
        if is_empty:  # keys that are made afterwards take a third of the time
            for name in KEYS:
                connection.execute(f"drop index if exists {name}")
        for path in files:
            _update_file(connection, path, known.get(path.name, _Known()))
        if is_empty:
            connection.execute(f"delete from measurements where rowid not in ({FIRST_OF_EACH})")
        for create in KEYS.values():
            connection.execute(create)


@dataclass(frozen=True)
class _Known:
    """How far a file was read, and what it was then.

    Attributes:
        bytes, lines: of it.
        beginning: a hash of the first and last of these bytes.
        modified: when the file was, in ns.
    """

    bytes: int = 0
    lines: int = 0
    beginning: str = ""
    modified: int = 0


def _is_rewritten(path: Path, known: _Known) -> bool:
    """Whether it is more than appended to: by a git checkout, or by hand, where it may have kept its length."""
    now = path.stat()
    if now.st_size == known.bytes and now.st_mtime_ns != known.modified:
        return True
    return now.st_size < known.bytes or _beginning(path, known.bytes) != known.beginning


def _update_file(connection: sqlite3.Connection, path: Path, known: _Known) -> None:
    if path.stat().st_size == known.bytes:
        return
    reading = _Reading(path, known.bytes, known.lines)
    connection.executemany(INSERT, reading.rows())
    connection.executemany("insert into damaged values (?, ?, ?)", reading.damaged)
    beginning = _beginning(path, reading.offset)
    facts = (path.name, reading.offset, reading.lines, beginning, path.stat().st_mtime_ns)
    connection.execute(f"insert or replace into files (file, {KNOWN}) values (?, ?, ?, ?, ?)", facts)


class _Reading:
    """Reads the lines of a file from an offset on, one at a time: a history may be larger than the memory.

    Attributes:
        offset, lines: how far it has come; half a line at the end may still be being written, and is left.
    """

    def __init__(self, path: Path, offset: int, lines: int) -> None:
        self.path, self.offset, self.lines = path, offset, lines
        self.damaged: list[tuple[str, int, str]] = []

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows of the index."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self.lines += 1
                found = index_row(line, self.path.name, self.lines, self.offset) if line != b"\n" else None
                self.offset += len(line)
                if isinstance(found, DamagedLine):
                    self.damaged.append((found.file, found.line, found.reason))
                elif found is not None:
                    yield found


def _beginning(path: Path, length: int) -> str:
    """A hash of the first and last bytes of the first `length`."""
    with path.open("rb") as file:
        head = file.read(min(length, 4096))
        file.seek(max(0, length - 4096))
        return hashlib.sha256(head + file.read(min(length, 4096))).hexdigest()


def revisions_of(store: HistoryStore) -> list[str]:
    """The names of all revisions."""
    with contextlib.closing(open_index(store)) as index:
        return [name for (name,) in index.execute("select distinct revision from measurements order by revision")]


def records_of_revision(store: HistoryStore, revision: str) -> Iterator[HistoryRecord]:
    """The records of the revision of this name, the newest last."""
    sql = "select file, offset from measurements where revision = ? order by added_at, offset"
    with contextlib.closing(open_index(store)) as index:
        places = index.execute(sql, (revision,)).fetchall()
    for file, offset in places:
        found = store.record_at(file, offset)
        if isinstance(found, HistoryRecord):
            yield found
