"""The runner's arguments and its answer (PROTOCOL.md) as typed records.

The same for this machine, a device and an emulator, which differ only in how the command gets there and the lines come
back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.measurement import OperatorTime
from edgedeploy.core.storage.json_records import RecordInvalid, decode

PROTOCOL_VERSION = 1

T = TypeVar("T")


@dataclass(frozen=True)
class RunnerPaths:
    """The files that the runner reads and writes, with paths as they are on the device.

    Attributes:
        inputs: tensor file with one or more sets of inputs.
        model: the artifact; None for the null runtime.
        outputs: where the outputs are written; None for no outputs.
        scratch: a writable folder, which a profile needs.
        library: another shared library of the runtime than the bundle's.
    """

    inputs: str
    model: str | None = None
    outputs: str | None = None
    scratch: str | None = None
    library: str | None = None


@dataclass(frozen=True)
class RunRequest:
    """How often and how an artifact is run; the names are those of the runner's arguments.

    Attributes:
        threads: of the runtime, 1 or more.
        warmup_runs: inferences after the first one and before the measured ones.
        num_runs, min_secs: at least that many runs and that many seconds.
        max_secs: no run starts later than this, and no warm-up run either.
        profile: asks for a per-operator profile. It slows the runs: never mix such samples with others.
        cpu_mask: the CPUs to run on, bit n for CPU n; None leaves the choice to the system.
    """

    threads: int = 1
    warmup_runs: int = 1
    num_runs: int = 50
    min_secs: float = 0.0
    max_secs: float = 150.0
    profile: bool = False
    cpu_mask: int | None = None

    def arguments(self, runtime: str, paths: RunnerPaths) -> list[str]:
        """The runner's arguments."""
        arguments = ["--runtime", runtime, "--inputs", paths.inputs, "--threads", str(self.threads)]
        arguments += ["--warmup-runs", str(self.warmup_runs), "--num-runs", str(self.num_runs)]
        arguments += ["--min-secs", f"{self.min_secs:g}", "--max-secs", f"{self.max_secs:g}"]
        optional = {
            "--model": paths.model,
            "--outputs": paths.outputs,
            "--scratch": paths.scratch,
            "--library": paths.library,
        }
        for name, path in optional.items():
            arguments += [name, path] if path is not None else []
        arguments += ["--cpu-mask", f"{self.cpu_mask:x}"] if self.cpu_mask is not None else []
        return [*arguments, "--profile"] if self.profile else arguments

    @property
    def timeout_s(self) -> float:
        """Seconds after which a runner without an answer is given up: both phases at their longest, and time to load."""
        return 2 * self.max_secs + 300


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of a model as its runtime reports it; -1 in the shape is any length."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Samples:
    """Inferences in the order of their running, by column.

    Attributes:
        start_ns: the device's monotonic clock; compare with `RunnerAnswer.started_monotonic_ns`.
        ns: how long each took.
        cpu_before, cpu_after: the number of the CPU that ran the calling thread.
        khz_before, khz_after: that CPU's frequency; None where the device does not report it.
    """

    start_ns: tuple[int, ...] = ()
    ns: tuple[int, ...] = ()
    cpu_before: tuple[int | None, ...] = ()
    cpu_after: tuple[int | None, ...] = ()
    khz_before: tuple[int | None, ...] = ()
    khz_after: tuple[int | None, ...] = ()

    def __len__(self) -> int:
        return len(self.ns)


@dataclass(frozen=True)
class RunnerAnswer:
    """A complete and successful answer.

    Attributes:
        runtime_version: "" where the library does not report it (LiteRT).
        started_unix_ns, started_monotonic_ns: the two clocks of the device, read together.
        peak_rss_start_bytes, peak_rss_bytes: the largest resident memory with the runtime's library open but no model
            loaded, and after the last measured run. None where the device does not report it.
        first, warmup, runs: the first inference after loading, the warm-up, and what is measured.
        operators: None unless a profile was asked for.
    """

    runtime: str
    runtime_version: str
    abi: str
    threads: int
    started_unix_ns: int
    started_monotonic_ns: int
    load_ns: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    first: Samples
    warmup: Samples
    runs: Samples
    peak_rss_start_bytes: int | None
    peak_rss_bytes: int | None
    operators: tuple[OperatorTime, ...] | None = None

    @property
    def first_inference_ns(self) -> int:
        """The first inference, which includes the runtime's lazy initialisation."""
        return self.first.ns[0]


@dataclass(frozen=True)
class EventLine:
    """One line of the answer: its event's name, and the text that a record of that event is decoded from."""

    event: str
    text: bytes


@dataclass(frozen=True)
class ErrorEvent:
    """The event `error`: why the runner gave up."""

    stage: str = "?"
    message: str = "?"


@dataclass(frozen=True)
class _AnyEvent:
    event: str


@dataclass(frozen=True)
class _Version:
    protocol: int


@dataclass(frozen=True)
class _Start:
    runtime: str
    runtime_version: str
    abi: str
    threads: int
    unix_ns: int
    monotonic_ns: int
    peak_rss_bytes: int | None


@dataclass(frozen=True)
class _Loaded:
    load_ns: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


@dataclass(frozen=True)
class _SamplesOfPhase:
    """A column is None where the device reports nothing of the kind."""

    phase: str
    start_ns: tuple[int, ...]
    ns: tuple[int, ...]
    cpu_before: tuple[int | None, ...] | None
    cpu_after: tuple[int | None, ...] | None
    khz_before: tuple[int | None, ...] | None
    khz_after: tuple[int | None, ...] | None


@dataclass(frozen=True)
class _Profile:
    operators: tuple[OperatorTime, ...]


@dataclass(frozen=True)
class _Done:
    peak_rss_bytes: int | None


def parse_answer(stdout: str, *, exit_code: int, stderr: str = "", what: str = "the runner") -> RunnerAnswer:
    """The answer that a runner gave on standard output.

    Raises RunnerFailed where it reported an error, ended with another exit code than 0, or printed anything but a
    complete answer of this protocol's version; the error shows what was printed.
    """
    lines = parse_events(stdout, stderr=stderr, what=what)
    error = find_error(lines)
    if error is not None:
        raise RunnerFailed(f"{what} failed at the stage '{error.stage}': {error.message}", details=_tail(stderr))
    printed = [*_last_lines(stdout), *_tail(stderr)]
    if exit_code != 0:
        raise RunnerFailed(f"{what} ended with exit code {exit_code} and reported no error", details=printed)
    try:
        return _answer_of(lines)
    except ValueError as invalid:
        raise RunnerFailed(f"{what} gave no complete answer: {invalid}", details=printed) from invalid


def parse_events(stdout: str, *, stderr: str = "", what: str = "the runner") -> list[EventLine]:
    """The lines of an answer, each known to be an event. Raises RunnerFailed where one is not."""
    events = []
    for line in stdout.splitlines():
        if line.strip():
            text = line.encode(errors="replace")
            try:
                events.append(EventLine(decode(text, _AnyEvent).event, text))
            except RecordInvalid:
                raise RunnerFailed(
                    f"{what} printed a line that is not an event of its protocol",
                    details=[*_last_lines(line), *_tail(stderr)],
                ) from None
    return events


def find_error(lines: Sequence[EventLine]) -> ErrorEvent | None:
    """The error that an answer reports; None where it reports none."""
    for line in lines:
        if line.event == "error":
            try:
                return decode(line.text, ErrorEvent)
            except RecordInvalid:  # an error all the same
                return ErrorEvent(message=line.text.decode())
    return None


def _answer_of(lines: Sequence[EventLine]) -> RunnerAnswer:
    """Raises ValueError with what is missing or wrong."""
    version = _only(lines, "start", _Version).protocol
    if version != PROTOCOL_VERSION:
        raise ValueError(f"the runner has protocol {version}, and {PROTOCOL_VERSION} is expected")
    start = _only(lines, "start", _Start)
    loaded, done = _only(lines, "loaded", _Loaded), _only(lines, "done", _Done)
    phases = [_decoded(line, _SamplesOfPhase) for line in lines if line.event == "samples"]
    first, warmup, runs = (_samples(phases, phase) for phase in ("first", "warmup", "run"))
    if len(first) != 1:
        raise ValueError(f"{len(first)} first inferences")
    profiles = [_decoded(line, _Profile) for line in lines if line.event == "profile"]
    return RunnerAnswer(
        runtime=start.runtime,
        runtime_version=start.runtime_version,
        abi=start.abi,
        threads=start.threads,
        started_unix_ns=start.unix_ns,
        started_monotonic_ns=start.monotonic_ns,
        load_ns=loaded.load_ns,
        inputs=loaded.inputs,
        outputs=loaded.outputs,
        first=first,
        warmup=warmup,
        runs=runs,
        peak_rss_start_bytes=start.peak_rss_bytes,
        peak_rss_bytes=done.peak_rss_bytes,
        operators=profiles[0].operators if profiles else None,
    )


def _only(lines: Sequence[EventLine], event: str, kind: type[T]) -> T:
    found = [line for line in lines if line.event == event]
    if len(found) != 1:
        raise ValueError(f"{len(found)} events '{event}', one is expected")
    return _decoded(found[0], kind)


def _decoded(line: EventLine, kind: type[T]) -> T:
    try:
        return decode(line.text, kind)
    except RecordInvalid as invalid:
        raise ValueError(f"event '{line.event}': {invalid}") from None


def _samples(phases: Sequence[_SamplesOfPhase], phase: str) -> Samples:
    found = [samples for samples in phases if samples.phase == phase]
    if len(found) != 1:
        raise ValueError(f"{len(found)} events 'samples' of phase '{phase}', one is expected")
    event, count = found[0], len(found[0].ns)

    def column(name: str, values: tuple[T, ...] | None) -> tuple[T | None, ...]:
        if values is None:
            return (None,) * count
        if len(values) != count:
            raise ValueError(f"the column {name} has {len(values)} entries, ns has {count}")
        return values

    column("start_ns", event.start_ns)
    return Samples(
        start_ns=event.start_ns,
        ns=event.ns,
        cpu_before=column("cpu_before", event.cpu_before),
        cpu_after=column("cpu_after", event.cpu_after),
        khz_before=column("khz_before", event.khz_before),
        khz_after=column("khz_after", event.khz_after),
    )


def _last_lines(stdout: str) -> list[str]:
    printed = [f"it printed: {line[:160]!r}" for line in stdout.splitlines() if line.strip()]
    return printed[-3:] or ["it printed nothing"]


def _tail(stderr: str) -> list[str]:
    return [line[:200] for line in stderr.strip().splitlines()[-4:]]
