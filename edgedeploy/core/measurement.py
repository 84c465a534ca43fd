"""Measurement: an artifact, a device, raw samples and their summary. Every record stands alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .numerics import Parity

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class DeviceInfo:
    """Where something was measured. Empty and None mean that the device does not tell.

    Attributes:
        kind: "local", "adb", "ssh" or "qemu".
        name: as it was asked for.
        model: the CPU's or the phone's name.
    """

    kind: str
    name: str
    serial: str = ""
    model: str = ""
    abi: str = ""
    os: str = ""
    cores: int | None = None


@dataclass(frozen=True)
class Latency:
    """Summary of the samples, in ns."""

    min: int
    median: int
    p90: int
    p99: int
    mean: int
    count: int


@dataclass(frozen=True)
class Measurement:
    """One artifact on one device with one number of threads.

    Attributes:
        artifact: folder of the artifact.
        samples_ns: each counted inference.
        parity: outputs in this very run against the reference that was stored at export; None where none is stored.
        instructions: executed instructions of one inference, where they were counted instead of timed.
        state_before, state_after: of the device, as it tells.
        notes: what a reader of the figures must know.
    """

    model: str
    target: str
    runner: str
    runtime_version: str
    artifact: str
    artifact_sha256: str
    size_bytes: int
    device: DeviceInfo
    threads: int
    latency_ns: Latency
    samples_ns: list[int]
    load_ns: int
    first_inference_ns: int
    peak_rss_bytes: int
    parity: Parity | None = None
    instructions: Mapping[str, Any] | None = None
    state_before: Mapping[str, Any] = field(default_factory=dict)
    state_after: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    started_at: str = ""

    def to_json(self) -> dict[str, Any]:
        """The record of `bench --json`. `verdict` is filled in by `compare`."""
        record = asdict(self)
        record["parity"] = self.parity.to_json() if self.parity else None
        return record | {"verdict": None}


def measurements_to_json(measurements: list[Measurement], tool: Mapping[str, Any]) -> dict[str, Any]:
    """What `bench --json FILE` writes."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": dict(tool),
        "measurements": [measurement.to_json() for measurement in measurements],
    }
