"""Appending to the history and reading it.

A line is written at the end of its file, under a lock, and is on the disk before `add` returns: a row that was acknowledged
is never lost. A process that is killed while it writes leaves half a line; the next writer ends it, and a reader reports it
and goes on. Appending reads nothing but the last byte.
"""

from __future__ import annotations

import datetime
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.core.errors import ResultsInvalid
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.storage.files import output_errors, write_atomically
from edgedeploy.core.storage.json_records import RecordInvalid, decode, encode_line

from .records import SCHEMA_VERSION, HistoryRecord, device_file, make_record

ATTRIBUTES = "*.jsonl merge=union\n"  # two branches that both added rows: git keeps the rows of both


@dataclass(frozen=True)
class DamagedLine:
    """A line that is not a record."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}"


class HistoryStore:
    """A folder of JSON Lines files, one for each device."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> list[Path]:
        """The files of all devices. Raises ResultsInvalid where there is no store."""
        if not self.folder.is_dir():
            raise ResultsInvalid(f"there is no history in {self.folder}", hint="edgedeploy history add RESULTS")
        return sorted(self.folder.glob("*.jsonl"))

    def add(self, rows: Sequence[Measurement], revision: str = "") -> list[Path]:
        """Appends measurements; returns their files. Raises OutputFailed."""
        with output_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / ".gitattributes").exists():
            write_atomically(self.folder / ".gitattributes", ATTRIBUTES)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        lines: dict[Path, list[str]] = {}
        for row in rows:
            path = self.folder / device_file(row.device)
            lines.setdefault(path, []).append(encode_line(make_record(row, revision, now)))
        for path, texts in lines.items():
            append_lines(path, texts)
        return list(lines)

    def records(self, path: Path) -> Iterator[HistoryRecord | DamagedLine]:
        """What is in a file, in its order; lines that are not records as such."""
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
            if line:
                yield read_line(line, path.name, number)

    def record_at(self, file: str, offset: int) -> HistoryRecord | DamagedLine:
        """The record whose line begins at `offset` bytes of a file of the store."""
        with (self.folder / file).open("rb") as opened:
            opened.seek(offset)
            return read_line(opened.readline().rstrip(b"\n"), file, 0)


def append_lines(path: Path, lines: Sequence[str]) -> None:
    """Appends lines durably; half a line that a killed writer left is ended first. Raises OutputFailed."""
    with output_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            broken = size and os.pread(descriptor, 1, size - 1) != b"\n"
            data = ("\n" if broken else "").encode() + "".join(line + "\n" for line in lines).encode()
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_line(line: bytes, file: str, number: int) -> HistoryRecord | DamagedLine:
    """The record in a line, or why it is none."""
    try:
        return decode(line, HistoryRecord, schema_version=SCHEMA_VERSION)
    except RecordInvalid as error:
        return DamagedLine(file, number, str(error))
