"""Figures beside the latency that must not get worse: size, load time, peak memory, and accuracy as SQNR."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.comparison import GateResult

LEAST_LOAD_NS = 1_000_000  # smaller changes are noise whatever their share
LEAST_MEMORY_BYTES = 2**20


@dataclass(frozen=True)
class Gates:
    """By how much each figure may grow, relative; the table [gates] of edgedeploy.toml.

    Attributes:
        instructions: executed Arm instructions, which repeat within 0.01 %.
        size, load, memory: of the file, the time to open it, and the largest memory of the measuring process.
        sqnr_db: by how many dB the signal to quantization noise ratio may fall.
    """

    instructions: float = 0.001
    size: float = 0.01
    load: float = 0.5
    memory: float = 0.1
    sqnr_db: float = 1.0


def check_gates(base: Measurement, head: Measurement, gates: Gates) -> tuple[GateResult, ...]:
    """The gates of one row; those whose figure is not known on both sides are left out."""
    return tuple(_check(base, head, gates))


def _check(base: Measurement, head: Measurement, gates: Gates) -> Iterator[GateResult]:
    size = head.size_bytes / max(base.size_bytes, 1) - 1
    yield GateResult("size", size <= gates.size, _mebibytes(base.size_bytes, head.size_bytes))
    if base.load_ns and head.load_ns:
        grown = head.load_ns / base.load_ns - 1 > gates.load and head.load_ns - base.load_ns > LEAST_LOAD_NS
        yield GateResult(
            "load",
            not (grown and _apart(base, head)),
            f"{base.load_ns / 1e6:.1f} -> {head.load_ns / 1e6:.1f} ms ({head.load_ns / base.load_ns - 1:+.0%})",
        )
    old, new = base.peak_rss_bytes, head.peak_rss_bytes
    if old and new:
        grown = new / old - 1 > gates.memory and new - old > LEAST_MEMORY_BYTES
        yield GateResult("peak memory", not grown, _mebibytes(old, new))
    if base.parity and head.parity and not base.parity.labels and not head.parity.labels:
        before, after = base.parity.sqnr, head.parity.sqnr
        fallen = before - after if math.isfinite(before) else (0.0 if math.isinf(after) else 200.0 - after)
        yield GateResult("SQNR", fallen <= gates.sqnr_db or after > 100, f"{_decibels(before)} -> {_decibels(after)}")


def _apart(base: Measurement, head: Measurement) -> bool:
    """Whether each launch of head loaded longer than each of base."""
    old = [launch.load_ns for launch in base.launches if launch.load_ns] or [base.load_ns or 0]
    new = [launch.load_ns for launch in head.launches if launch.load_ns] or [head.load_ns or 0]
    return min(new) > max(old)


def _mebibytes(old: int, new: int) -> str:
    return f"{old / 2**20:.2f} -> {new / 2**20:.2f} MiB ({new / max(old, 1) - 1:+.1%})"


def _decibels(sqnr: float) -> str:
    return f"{sqnr:.1f} dB" if math.isfinite(sqnr) else "equal"
