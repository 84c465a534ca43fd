"""Measurement: an artifact, a device, raw samples and their summary. Every record stands alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .device import ConditionLogEntry, DeviceInfo, DeviceState
from .parity import Parity
from .results.paired import PairedComparison
from .results.sustained import Sustained
from .results.verdict import LatencyStatistics, Trust
from .storage.json_records import decode, encode
from .versions import EDGEDEPLOY_VERSION, versions

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Latency:
    """Summary of the samples of the steady state, in ns; `p99` is None where they are too few to carry it."""

    min: int
    median: int
    p90: int
    p99: int | None
    mean: int
    count: int


@dataclass(frozen=True)
class LaunchFigures:
    """What one launch of the runner reports beside its samples; None where it reports none."""

    load_ns: int | None
    first_inference_ns: int | None
    peak_rss_bytes: int | None


@dataclass(frozen=True)
class OperatorTime:
    """One operator of a profile, over all profiled runs: `total_ns / calls` is the mean of one call.

    Attributes:
        name: as the runtime has it; several operators may share one.
        delegated: it ran inside a delegate; None where the runtime has no delegates.
    """

    name: str
    type: str
    calls: int
    total_ns: int
    delegated: bool | None = None


@dataclass(frozen=True)
class Profile:
    """Where an artifact's time goes, from a run of its own: profiling slows the run.

    Attributes:
        runs: profiled inferences; the operators' `calls` and `total_ns` are over all of them.
        operators: in the runtime's order. PROTOCOL.md of the runner defines what counts as one.
        not_available: why there is none; empty where there is one.
    """

    runs: int = 0
    operators: tuple[OperatorTime, ...] = ()
    not_available: str = ""


@dataclass(frozen=True)
class InstructionCount:
    """Executed A64 instructions of one inference under emulation.

    Attributes:
        cpu: the emulated one; the runtimes choose their kernels by it.
        total: of one steady inference.
        by_class: the same by class: integer, branch, load_store (X registers), simd_load_store, float_mac (vector FMLA
            and FMLS), int8_dot (SDOT and its kin), simd_other (with scalar floating point), other.
        first_inference: of the first one after loading.
        startup_and_load: from the start of the process to the first inference.
        last_change: relative difference of the last two inferences; not 0 where a runtime still settles. A count of
            the same artifact with the same inputs repeats all the same.
        macs, macs_per_instruction: of the network, and how many one instruction can do at best: FMLA on four floats, SDOT
            on sixteen int8.
        bound: `macs / macs_per_instruction`, the fewest instructions that the arithmetic could take; None without MACs.
        ratio: `total / bound`.
    """

    cpu: str
    total: int
    by_class: Mapping[str, int]
    first_inference: int
    startup_and_load: int
    last_change: float
    macs: int | None = None
    macs_per_instruction: int | None = None
    bound: float | None = None
    ratio: float | None = None


@dataclass(frozen=True)
class OperatorInstructions:
    """Executed A64 instructions of one operator in one profiled inference.

    Attributes:
        name, type: as the runtime's profiler has them; several operators may share a name.
        delegated: it ran inside a delegate; None where the runtime has no delegates.
        instructions: all; on ONNX Runtime with what its profiler executes within the operator.
        useful: of these the vector multiply-accumulates: FMLA and FMLS, SDOT and its kin.
        share: of the whole inference, 0 to 1.
        module: path in the original network; "" where it cannot be traced.
        macs: multiply-accumulates, from the artifact's own graph; None where the operator is not traced to it.
        bound: the fewest instructions that these could take: MACs / 16 for int8, / 8 for depthwise int8, / 4 for float.
            None where there are no MACs.
        ratio: `instructions / bound`.
    """

    name: str
    type: str
    delegated: bool | None
    instructions: int
    useful: int
    share: float
    module: str = ""
    macs: int | None = None
    bound: float | None = None
    ratio: float | None = None


@dataclass(frozen=True)
class InstructionProfile:
    """Where an artifact's instructions go, from runs of their own: the runtime's profiler executes instructions too.

    Attributes:
        cpu: the emulated one.
        total: of the profiled inference; `InstructionCount.total` is without a profiler.
        outside_operators: those of the total that belong to no operator: the runtime's own work, and its profiler's.
        operators: in the order of execution.
    """

    cpu: str
    total: int
    outside_operators: int
    operators: tuple[OperatorInstructions, ...]


@dataclass(frozen=True)
class Measurement:
    """One artifact on one device with one number of threads.

    Attributes:
        runtime: "onnxruntime", "executorch", "litert" or "tflite-runtime".
        artifact: folder of the artifact.
        latency_ns, samples_ns: of each counted inference; None and empty where instructions were counted: the time of an
            emulated inference means nothing, so none is kept.
        sample_launches: for each of `samples_ns`, the launch of the runner that it comes from, from 0.
        load_ns, first_inference_ns: the median of the launches; None where they mean nothing, or are not reported.
        peak_rss_bytes: the largest of the launches.
        parity: outputs in this very run against the reference that was stored at export; None where none is stored.
        host_agreement: the same outputs against those of the same file on this machine; None for this machine itself.
        harness: what measured: "native" is the C++ runner, the same loop on all devices; "python" the runtime's binding.
        instructions: executed instructions of one inference, where they were counted instead of timed.
        cpu_mask: the cores that the run was bound to, bit n for core n; None leaves it to the system.
        condition_log: the measurement conditions that were set up, in order; at the end what was restored when the
            bench left the device, or could not be and why.
        throttled_samples, slowed_samples: indices into `samples_ns` of those taken while the device reported a thermal
            status above none, and of those on a core below nine tenths of its highest clock frequency; None where the
            device does not report it.
        discarded_ns: samples that were taken under throttling and repeated; not in `samples_ns`.
        interruptions: how often the device was lost and this row begun anew.
        profile: None unless it was asked for. On an emulated device its times mean as little as all others there.
        instruction_profile: the same in instructions, where they are counted instead of timed.
        state_before, state_during, state_after: of the device, as it reports them.
        notes: what a reader of the figures must know.
        input_shapes: of the artifact's inputs, batch first.
        rewrites: how often each rewrite was applied at the export.
        made_with: the versions of the packages that made the artifact.
        launches: load, first inference and memory of each launch of the runner.
        protocol: "default", "interleaved", "mlperf" or "sustained": how long was measured.
        sustained: the course of a row of protocol "sustained".
        statistics: how sure the figures are, and `verdict`: whether they are trustworthy; None without samples.
    """

    schema_version: int = field(default=SCHEMA_VERSION, kw_only=True)
    model: str
    target: str
    runtime: str
    runtime_version: str
    artifact: str
    artifact_sha256: str
    size_bytes: int
    device: DeviceInfo
    threads: int
    latency_ns: Latency | None
    samples_ns: tuple[int, ...]
    sample_launches: tuple[int, ...]
    load_ns: int | None
    first_inference_ns: int | None
    peak_rss_bytes: int | None
    parity: Parity | None = None
    host_agreement: Parity | None = None
    harness: str = "native"
    instructions: InstructionCount | None = None
    cpu_mask: int | None = None
    condition_log: tuple[ConditionLogEntry, ...] = ()
    throttled_samples: tuple[int, ...] | None = None
    slowed_samples: tuple[int, ...] | None = None
    discarded_ns: tuple[int, ...] = ()
    interruptions: int = 0
    profile: Profile | None = None
    instruction_profile: InstructionProfile | None = None
    state_before: DeviceState | None = None
    state_during: tuple[DeviceState, ...] = ()
    state_after: DeviceState | None = None
    notes: tuple[str, ...] = ()
    started_at: str = ""
    input_shapes: tuple[tuple[int, ...], ...] = ()
    rewrites: Mapping[str, int] = field(default_factory=dict)
    made_with: Mapping[str, str] = field(default_factory=dict)
    launches: tuple[LaunchFigures, ...] = ()
    protocol: str = "default"
    sustained: Sustained | None = None
    statistics: LatencyStatistics | None = None
    verdict: Trust | None = None

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.model}/{self.target}, {threads}"

    def to_json(self) -> str:
        """One record of `bench --json`."""
        return encode(self)

    @classmethod
    def from_json(cls, data: str | bytes) -> Measurement:
        """The inverse of `to_json`. Raises RecordInvalid, which names the key. Unknown keys are ignored."""
        return decode(data, cls, schema_version=SCHEMA_VERSION)


@dataclass(frozen=True)
class ToolInfo:
    """Who wrote a result file: the program, its version, and those of the packages beside it."""

    name: str = "edgedeploy"
    version: str = EDGEDEPLOY_VERSION
    versions: Mapping[str, str] = field(default_factory=versions)


@dataclass(frozen=True)
class ResultFile:
    """What `bench --json FILE` writes; `pairs` has what `--interleave` found."""

    schema_version: int = field(default=SCHEMA_VERSION, kw_only=True)
    measurements: tuple[Measurement, ...]
    tool: ToolInfo = field(default_factory=ToolInfo)
    pairs: tuple[PairedComparison, ...] = ()

    @classmethod
    def of(cls, measurements: Sequence[Measurement], pairs: Sequence[PairedComparison] = ()) -> ResultFile:
        """The file of these measurements, written by this edgedeploy."""
        return cls(tuple(measurements), pairs=tuple(pairs))

    def to_json(self) -> str:
        """As the file has it."""
        return encode(self)

    @classmethod
    def from_json(cls, data: str | bytes) -> ResultFile:
        """The inverse of `to_json`. Raises RecordInvalid, which names the key. Unknown keys are ignored."""
        return decode(data, cls, schema_version=SCHEMA_VERSION)
