"""A line of the history as a row of the index.

The figures that were written with the measurement are taken where neither was changed since, by their checksum. The
measurement is skipped over then. Else the whole line is read and its figures are computed.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from edgedeploy.core.errors import ResultsInvalid
from edgedeploy.core.results.result_files import check_consistent

from .figures import FIGURES_VERSION, figures_of
from .records import SCHEMA_VERSION, checksum
from .store import DamagedLine, read_line

Count = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what a column of SQLite holds


class _Figures(msgspec.Struct, gc=False):
    """Figures; from `launch_levels` on they are columns."""

    version: int
    launch_levels: msgspec.Raw
    launch_p90_levels: msgspec.Raw
    started_at: str
    device: str
    model: str
    target: str
    threads: Count
    counted: bool
    level: float | None
    median_ns: Count | None
    p90_ns: Count | None
    instructions: Count | None
    size_bytes: Count
    load_ns: Count | None
    peak_rss_bytes: Count | None
    sqnr_db: float | None
    trustworthy: bool | None
    artifact_sha256: str
    runtime_version: str


class _Line(msgspec.Struct, gc=False):
    schema_version: int
    id: str
    revision: str
    added_at: str
    figures: msgspec.Raw
    measurement: msgspec.Raw
    crc32: int


OF_A_FIGURE = _Figures.__struct_fields__[1:]
COLUMNS = ("file", "offset", "id", "revision", "added_at", *OF_A_FIGURE)
_LINE = msgspec.json.Decoder(_Line)
_FIGURES = msgspec.json.Decoder(_Figures)


def index_row(line: bytes, file: str, number: int, offset: int) -> tuple[Any, ...] | DamagedLine:
    """The values of COLUMNS of a line, or why it is no record. `number` is from 1, `offset` in bytes."""
    try:
        found = _LINE.decode(line)
        figures = _FIGURES.decode(found.figures)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _computed(line, file, number, offset)
    trusted = figures.version == FIGURES_VERSION and found.crc32 == checksum(found.measurement, found.figures)
    if not trusted or not 1 <= found.schema_version <= SCHEMA_VERSION:
        return _computed(line, file, number, offset)
    return (file, offset, found.id, found.revision, found.added_at, *_values(figures))


def _computed(line: bytes, file: str, number: int, offset: int) -> tuple[Any, ...] | DamagedLine:
    """The same from the measurement itself."""
    found = read_line(line, file, number)
    if isinstance(found, DamagedLine):
        return found
    try:
        check_consistent(found.measurement, "the measurement")
        values = _values(_FIGURES.decode(msgspec.json.encode(figures_of(found.measurement))))
    except ResultsInvalid as error:
        return DamagedLine(file, number, error.message)
    except msgspec.ValidationError as error:
        return DamagedLine(file, number, str(error))
    return (file, offset, found.id, found.revision, found.added_at, *values)


def _values(figures: _Figures) -> tuple[Any, ...]:
    _, medians, p90s, *values = msgspec.structs.astuple(figures)
    return (str(medians, "utf-8"), str(p90s, "utf-8"), *values)
