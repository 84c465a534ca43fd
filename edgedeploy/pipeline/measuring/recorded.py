"""The line of a record: what `bench --record` was asked for, and the same again for `--device replay:FILE`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.core.artifact import Artifact

from .options import BenchOptions
from .protocols import protocol_of

if TYPE_CHECKING:
    from edgedeploy.benchmarks.recording.records import RecordedOptions

REPLAY = "replay:"


def line_of(options: BenchOptions, artifacts: Sequence[Artifact], seed: int | None = None) -> RecordedOptions:
    """What is recorded of a bench; `seed` is that of an interleaved one."""
    from edgedeploy.benchmarks.recording.records import RecordedOptions

    length = options.length
    return RecordedOptions(
        artifacts=tuple(str(artifact.folder) for artifact in artifacts),
        threads=tuple(options.threads),
        warmup_runs=options.warmup_runs,
        num_runs=length.num_runs,
        min_secs=length.min_secs,
        max_secs=length.max_secs,
        launches=length.launches,
        protocol=options.protocol,
        minutes=options.minutes,
        cores=options.cores,
        max_start_temp=options.max_start_temp,
        cooldown=options.cooldown,
        profile=options.profile,
        interleave=seed is not None,
        seed=seed or 0,
    )


def recorded_line(device: str) -> RecordedOptions | None:
    """The line that is in the record which is named as a device; None for a real device. Raises ResultsInvalid."""
    if not device.startswith(REPLAY) or device == REPLAY:
        return None
    from edgedeploy.benchmarks.recording.records import read_record

    return read_record(Path(device.removeprefix(REPLAY))).header.options


def as_recorded(options: BenchOptions) -> BenchOptions:
    """The options of the line that is replayed; a real device's as they are."""
    line = recorded_line(options.device)
    if line is None:
        return options
    names = ["threads", "warmup_runs", "protocol", "minutes", "cores", "max_start_temp", "cooldown", "profile"]
    if protocol_of(line.protocol).launches > 1:  # else the protocol says it itself
        names += ["num_runs", "min_secs", "max_secs", "launches"]
    return replace(options, **{name: getattr(line, name) for name in names})
