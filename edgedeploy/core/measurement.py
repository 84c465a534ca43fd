"""Measurement: an artifact, a device, raw samples and their summary. Every record stands alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .parity import Parity

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class DeviceInfo:
    """Where something was measured. Empty and None mean that the device does not tell.

    Attributes:
        kind: "local", "adb", "ssh" or "qemu".
        name: as it was asked for.
        model: the CPU's or the phone's name.
        soc, build, kernel: the chip, the installed system's fingerprint, the kernel.
        core_khz: each core's highest clock.
        emulated: the device is an emulator: its time means nothing.
    """

    kind: str
    name: str
    serial: str = ""
    model: str = ""
    abi: str = ""
    os: str = ""
    cores: int | None = None
    soc: str = ""
    build: str = ""
    kernel: str = ""
    memory_bytes: int | None = None
    core_khz: tuple[int | None, ...] = ()
    emulated: bool = False


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
class OperatorTime:
    """One row of a profile, over all profiled runs: `total_ns / calls` is the mean of one call."""

    name: str
    type: str
    calls: int
    total_ns: int


@dataclass(frozen=True)
class Profile:
    """Where an artifact's time goes, from a run of its own: a profile slows what it looks at.

    Attributes:
        runs: profiled inferences; the operators' `calls` and `total_ns` are over all of them.
        operators: in the runtime's order. What one is, differs: PROTOCOL.md of the runner says it for each runtime.
        not_available: why there is none; empty where there is one.
    """

    runs: int = 0
    operators: tuple[OperatorTime, ...] = ()
    not_available: str = ""


@dataclass(frozen=True)
class Measurement:
    """One artifact on one device with one number of threads.

    Attributes:
        artifact: folder of the artifact.
        latency_ns, samples_ns: of each counted inference; None and empty where instructions were counted: the time of an
            emulated inference means nothing, so none is kept.
        load_ns, first_inference_ns, peak_rss_bytes: None where they mean nothing, or the device does not tell.
        parity: outputs in this very run against the reference that was stored at export; None where none is stored.
        host_agreement: the same outputs against those of the same file on this machine; None for this machine itself.
        harness: what measured: "native" is the C++ runner, the same loop on all devices; "python" the runtime's binding.
        instructions: executed instructions of one inference, where they were counted instead of timed.
        cpu_mask: the cores that the run was bound to, bit n for core n; None leaves it to the system.
        conditions: what was done for fairness and how it went, in order, as (step, outcome); at the end what was undone
            when the bench left the device, or could not be and why.
        throttled, slowed: which of `samples_ns` were taken while the device told a thermal status above none, and which on
            a core below nine tenths of its highest clock; None where the device does not tell.
        discarded_ns: samples that were taken under throttling and repeated; not in `samples_ns`.
        interruptions: how often the device was lost and this row begun anew.
        profile: None unless it was asked for. On an emulated device its times mean as little as all others there.
        state_before, state_during, state_after: of the device, as it tells.
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
    latency_ns: Latency | None
    samples_ns: list[int]
    load_ns: int | None
    first_inference_ns: int | None
    peak_rss_bytes: int | None
    parity: Parity | None = None
    host_agreement: Parity | None = None
    harness: str = "native"
    instructions: Mapping[str, Any] | None = None
    cpu_mask: int | None = None
    conditions: tuple[tuple[str, str], ...] = ()
    throttled: list[int] | None = None
    slowed: list[int] | None = None
    discarded_ns: list[int] = field(default_factory=list)
    interruptions: int = 0
    profile: Profile | None = None
    state_before: Mapping[str, Any] = field(default_factory=dict)
    state_during: tuple[Mapping[str, Any], ...] = ()
    state_after: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    started_at: str = ""

    def to_json(self) -> dict[str, Any]:
        """The record of `bench --json`. `verdict` is filled in by `compare`."""
        record = asdict(self)
        record["parity"] = self.parity.to_json() if self.parity else None
        record["host_agreement"] = self.host_agreement.to_json() if self.host_agreement else None
        return record | {"verdict": None}


def measurements_to_json(measurements: list[Measurement], tool: Mapping[str, Any]) -> dict[str, Any]:
    """What `bench --json FILE` writes."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": dict(tool),
        "measurements": [measurement.to_json() for measurement in measurements],
    }
