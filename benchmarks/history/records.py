"""One line of the history: a measurement, and the revision that it belongs to."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from edgedeploy.core.device import DeviceInfo
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.comparison import identity_of
from edgedeploy.core.storage.json_records import encode_line

from .figures import Figures, figures_of

SCHEMA_VERSION = 1
SAMPLES_OF_LAUNCH = 50  # kept in their order, equally spaced: enough for every later comparison


@dataclass(frozen=True)
class HistoryRecord:
    """A measurement in the history.

    Attributes:
        id: of the measurement; the same one that was added twice under one revision is there once, and one that was added
            under two revisions is one point of its row.
        revision: of the code that was measured, as git names it, with "-dirty" behind it where files differed; or "".
        added_at: UTC, ISO 8601.
        measurement: without its profiles, with at most SAMPLES_OF_LAUNCH samples of each launch.
    """

    schema_version: int = field(default=SCHEMA_VERSION, kw_only=True)
    id: str
    revision: str
    added_at: str
    measurement: Measurement


@dataclass(frozen=True)
class WrittenRecord(HistoryRecord):
    """A record as it is written: with what the index has of it, which is not read back as part of the record.

    Attributes:
        crc32: of the JSON of the measurement and then that of the figures, which are taken where both are as written.
    """

    figures: Figures
    crc32: int


def make_record(row: Measurement, revision: str, added_at: str) -> WrittenRecord:
    """The record of a measurement."""
    identity = hashlib.sha256(encode_line(row).encode()).hexdigest()[:16]
    kept = thinned(row.sample_launches, SAMPLES_OF_LAUNCH)
    position = {old: new for new, old in enumerate(kept)}
    slim = replace(
        row,
        samples_ns=tuple(row.samples_ns[index] for index in kept),
        sample_launches=tuple(row.sample_launches[index] for index in kept),
        throttled_samples=_moved(row.throttled_samples, position),
        slowed_samples=_moved(row.slowed_samples, position),
        discarded_ns=(),
        profile=None,
        instruction_profile=None,
        state_during=(),
    )
    figures = figures_of(slim)
    return WrittenRecord(identity, revision, added_at, slim, figures, checksum(_json(slim), _json(figures)))


def checksum(measurement: bytes | msgspec.Raw, figures: bytes | msgspec.Raw) -> int:
    """That of the JSON of a measurement and its figures."""
    return zlib.crc32(figures, zlib.crc32(measurement))


def _json(record: Measurement | Figures) -> bytes:
    return encode_line(record).encode()


def thinned(launches: Sequence[int], most: int) -> list[int]:
    """Indices of at most `most` samples of each launch, equally spaced."""
    kept: list[int] = []
    for launch in dict.fromkeys(launches):
        indices = [index for index, of in enumerate(launches) if of == launch]
        step = max(len(indices) / most, 1.0)
        kept += [indices[int(position * step)] for position in range(min(len(indices), most))]
    return sorted(kept)


def _moved(indices: Sequence[int] | None, position: dict[int, int]) -> tuple[int, ...] | None:
    return None if indices is None else tuple(position[index] for index in indices if index in position)


def device_file(device: DeviceInfo) -> str:
    """The name of a device's file: readable, and different for different devices."""
    readable = re.sub(r"[^a-z0-9]+", "-", f"{device.kind} {device.display_name}".lower()).strip("-")
    return f"{readable}-{hashlib.sha256(identity_of(device).encode()).hexdigest()[:6]}.jsonl"
