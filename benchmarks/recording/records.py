"""The lines of a record: JSON Lines, first a header, then each script with its answer, then the measurements, then the end.

A script is known again by its key: its text without what differs from run to run (the device's folder, random tokens).
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgedeploy.core.device import DeviceInfo
from edgedeploy.core.errors import ResultsInvalid
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.storage.files import read_limited
from edgedeploy.core.storage.json_records import RecordInvalid, decode
from edgedeploy.core.versions import EDGEDEPLOY_VERSION

SCHEMA_VERSION = 1
FOLDER = "@folder@"
HINT = "a file that `edgedeploy bench --record FILE` wrote"


@dataclass(frozen=True)
class RecordedBundle:
    """A runner on the device: the name of its folder there, and its runtime's version."""

    name: str
    version: str


@dataclass(frozen=True)
class RecordedOptions:
    """The line that was recorded; the names are those of the options of `bench`."""

    artifacts: tuple[str, ...] = ()
    threads: tuple[int, ...] = (1,)
    warmup_runs: int = 3
    num_runs: int = 50
    min_secs: float = 1.0
    max_secs: float = 150.0
    launches: int = 3
    protocol: str = "default"
    minutes: float | None = None
    cores: str = "all"
    max_start_temp: float | None = None
    cooldown: float = 0.0
    profile: bool = False
    interleave: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Header:
    """The first line.

    Attributes:
        abi: of the runners that were used.
        bundles: by runtime.
        names_kept: whether serial numbers and user names were asked for.
    """

    schema_version: int = field(default=SCHEMA_VERSION, kw_only=True)
    recorded_at: str
    info: DeviceInfo
    abi: str
    bundles: Mapping[str, RecordedBundle]
    options: RecordedOptions
    names_kept: bool
    edgedeploy_version: str = EDGEDEPLOY_VERSION


@dataclass(frozen=True)
class Exchange:
    """A script that ran on the device, and what came back.

    Attributes:
        script: for people; `key` is what it is known by.
        stdout: where it is text; else `stdout_zlib` has it, compressed and in base 64.
        exit_code: None where none arrived; then `failure` and `message` say how the connection ended.
        began_s, first_output_s, ended_s: this machine's clock, seconds since 1970.
    """

    key: str
    script: str
    exit_code: int | None
    began_s: float
    first_output_s: float
    ended_s: float
    stdout: str = ""
    stdout_zlib: str = ""
    stderr: str = ""
    failure: str = ""
    message: str = ""

    def output(self) -> bytes:
        """stdout as it came. Raises ValueError for damaged data."""
        try:
            return zlib.decompress(base64.b64decode(self.stdout_zlib)) if self.stdout_zlib else self.stdout.encode()
        except zlib.error as error:
            raise ValueError(str(error)) from None


@dataclass(frozen=True)
class Line:
    """One line of the file: one of these is there. `end` is the number of lines before it."""

    header: Header | None = None
    exchange: Exchange | None = None
    measurement: Measurement | None = None
    end: int | None = None


@dataclass(frozen=True)
class Record:
    """A whole file."""

    path: Path
    header: Header
    exchanges: tuple[Exchange, ...]
    measurements: tuple[Measurement, ...]


def key_of(script: str, folder: str) -> str:
    """What a script is known by."""
    return hashlib.sha256(plain(script, folder).replace("'", "").encode()).hexdigest()[:24]


def plain(script: str, folder: str) -> str:
    """A script without the device's folder and without random tokens."""
    return re.sub(r"\b[0-9a-f]{16}\b", "@token@", script.replace(folder, FOLDER))


def read_record(path: Path) -> Record:
    """Reads a record. Raises ResultsInvalid, which names the file, the line and the reason."""
    try:
        data = read_limited(path)
    except OSError as error:
        raise ResultsInvalid(f"{path} cannot be read: {error.strerror}", hint=HINT) from None
    found = [_read_line(path, number, text) for number, text in enumerate(data.split(b"\n")[:-1], 1)]
    if not found:
        raise ResultsInvalid(f"{path}, line 1: it is not a record", hint=HINT)
    if found[0].header is None:
        raise ResultsInvalid(f"{path}, line 1: a record begins with a header, and this is none", hint=HINT)
    if found[-1].end != len(found) - 1 or not data.endswith(b"\n"):
        raise ResultsInvalid(f"{path}, line {len(found)}: the file is cut off or lacks lines", hint=HINT)
    return Record(
        path,
        found[0].header,
        tuple(line.exchange for line in found if line.exchange),
        tuple(line.measurement for line in found if line.measurement),
    )


def _read_line(path: Path, number: int, text: bytes) -> Line:
    try:
        line = decode(text, Line)
        if line.header is not None and line.header.schema_version > SCHEMA_VERSION:
            raise RecordInvalid(f"it has schema version {line.header.schema_version}: install a newer edgedeploy")
        if line.exchange is not None:
            line.exchange.output()
    except ValueError as error:
        reason = str(error)
        raise ResultsInvalid(f"{path}, line {number}: {reason[:1].lower()}{reason[1:]}", hint=HINT) from None
    if line == Line():
        raise ResultsInvalid(f"{path}, line {number}: it is not a line of a record", hint=HINT)
    return line
