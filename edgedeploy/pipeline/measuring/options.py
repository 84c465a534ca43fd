"""The options of `bench`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from edgedeploy.core.errors import UsageError
from edgedeploy.pipeline.bounds import MAX_RUNS, MAX_SECS, MAX_THREADS, check_bounds

from .protocols import Protocol, protocol_of

if TYPE_CHECKING:
    from edgedeploy.benchmarks.executors import ExecutorOptions, RunOptions
    from edgedeploy.benchmarks.recording.recorder import Recorder


@dataclass(frozen=True)
class BenchOptions:
    """How artifacts are measured. The names are those of TFLite's benchmark_model where it has one.

    Attributes:
        device: "local", "adb:NAME", "ssh:user@host", an alias, or "qemu[:CPU]", which counts instructions.
        threads: each artifact is measured with each of these numbers.
        warmup_runs: inferences before the first counted one.
        num_runs, min_secs: in each launch at least this many counted inferences, for at least this long; None for
            the protocol's own.
        max_secs: in each launch at most this long.
        launches: how often the runner is started for each row: two processes differ more than two inferences of one;
            None for the protocol's own.
        protocol: how long is measured where the figures above do not say it: "default"; "mlperf", the rules of MLPerf's
            single stream; "sustained", `minutes` without a pause. See protocols.py.
        cores: "big", "little", "all" or a hexadecimal mask.
        max_start_temp: in °C; waits before each row until the processor is cooler.
        cooldown: pause before each launch but the first, in seconds.
        runtime: "tflite-runtime" for the legacy runtime 2.14 on this machine; None for the artifact's own.
        profile: run each row once more, for the time (on qemu: the instructions) of each operator.
        require_trust: raise NotTrustworthy at the end if a row is not trustworthy.
        record: keep the dialogue with the device, the line and the samples in this file; "replay:FILE" as a device runs
            the line again from it, whatever the other options say.
        record_names: leave serial numbers and user names in it.
        json_file: written anew after every row, so that a failure loses none.
    """

    device: str = "local"
    threads: Sequence[int] = (1,)
    warmup_runs: int = 3
    num_runs: int | None = None
    min_secs: float | None = None
    max_secs: float | None = None
    launches: int | None = None
    protocol: str = "default"
    minutes: float | None = None
    cores: str = "all"
    max_start_temp: float | None = None
    cooldown: float = 0.0
    runtime: str | None = None
    profile: bool = False
    require_trust: bool = False
    record: str | Path | None = None
    record_names: bool = False
    json_file: str | Path | None = None

    def __post_init__(self) -> None:
        if isinstance(self.threads, str) or not isinstance(self.threads, Sequence):
            raise UsageError(f"threads is a list of numbers, not {self.threads!r}", hint="threads=[1, 4]")
        if not self.threads or any(not isinstance(count, int) or count < 1 for count in self.threads):
            raise UsageError("--threads takes whole numbers from 1", hint="--threads 1,2,4")
        self._check_protocol()
        length = self.length
        if length.num_runs < 1 or self.warmup_runs < 0 or length.min_secs < 0 or length.max_secs <= 0:
            raise UsageError("--num-runs must be at least 1, and times must not be negative")
        if length.launches < 1:
            raise UsageError("--launches must be at least 1")
        if length.min_secs > length.max_secs:
            raise UsageError(f"--min-secs {length.min_secs:g} is more than --max-secs {length.max_secs:g}")
        if self.cooldown < 0:
            raise UsageError("--cooldown must not be negative")
        for count in self.threads:
            check_bounds("--threads", count, 1, MAX_THREADS)
        check_bounds("--warmup-runs", self.warmup_runs, 0, MAX_RUNS)
        check_bounds("--num-runs", length.num_runs, 1, MAX_RUNS)
        for option, secs in (
            ("min-secs", length.min_secs),
            ("max-secs", length.max_secs),
            ("cooldown", self.cooldown),
        ):
            check_bounds(f"--{option}", secs, 0, MAX_SECS)
        if self.max_start_temp is not None:
            check_bounds("--max-start-temp", self.max_start_temp, -50, 150)

    def _check_protocol(self) -> None:
        if self.minutes is not None:
            if self.protocol != "sustained":
                raise UsageError("--minutes belongs to --protocol sustained")
            check_bounds("--minutes", self.minutes, 0.01, MAX_SECS / 60)
        own = protocol_of(self.protocol)
        if own.launches == 1 and (self.num_runs, self.min_secs, self.max_secs, self.launches) != (None,) * 4:
            raise UsageError(
                f"--protocol {self.protocol} says itself how long is measured",
                hint="leave --num-runs, --min-secs, --max-secs and --launches out",
            )

    @property
    def length(self) -> Protocol:
        """How long a row is measured: the protocol's figures, where no others were asked for."""
        asked = {name: getattr(self, name) for name in ("num_runs", "min_secs", "max_secs", "launches")}
        return replace(
            protocol_of(self.protocol, self.minutes),
            **{name: value for name, value in asked.items() if value is not None},
        )

    def run_options(self, threads: int) -> RunOptions:
        """How one row is run."""
        from edgedeploy.benchmarks.executors import RunOptions

        length = self.length
        return RunOptions(
            threads,
            self.warmup_runs,
            length.num_runs,
            length.min_secs,
            length.max_secs,
            length.launches,
            length.keep_throttled,
        )

    def executor_options(self, recorder: Recorder | None = None) -> ExecutorOptions:
        """Under which conditions, and in which runtime."""
        from edgedeploy.benchmarks.conditions import MeasurementConditions
        from edgedeploy.benchmarks.executors import ExecutorOptions

        conditions = MeasurementConditions(
            cores=self.cores, max_start_temperature_c=self.max_start_temp, cooldown_s=self.cooldown
        )
        return ExecutorOptions(conditions, self.runtime, recorder)


class BenchKeywords(TypedDict, total=False):
    """The fields of BenchOptions as keyword arguments."""

    device: str
    threads: Sequence[int]
    warmup_runs: int
    num_runs: int | None
    min_secs: float | None
    max_secs: float | None
    launches: int | None
    protocol: str
    minutes: float | None
    cores: str
    max_start_temp: float | None
    cooldown: float
    runtime: str | None
    profile: bool
    require_trust: bool
    record: str | Path | None
    record_names: bool
    json_file: str | Path | None
