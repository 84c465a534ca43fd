"""What the runner is asked and what it answers (PROTOCOL.md), as plain data.

A phone and this machine differ only in how the command gets there and the lines come back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.measurement import OperatorTime

PROTOCOL_VERSION = 1

T = TypeVar("T")


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

    def arguments(
        self,
        runtime: str,
        *,
        model: str | None,
        inputs: str,
        outputs: str | None = None,
        scratch: str | None = None,
        library: str | None = None,
    ) -> list[str]:
        """The runner's arguments, with paths as they are on the device. A profile needs `scratch`, a writable folder."""
        arguments = ["--runtime", runtime, "--inputs", inputs, "--threads", str(self.threads)]
        arguments += ["--warmup-runs", str(self.warmup_runs), "--num-runs", str(self.num_runs)]
        arguments += ["--min-secs", f"{self.min_secs:g}", "--max-secs", f"{self.max_secs:g}"]
        paths = {"--model": model, "--outputs": outputs, "--scratch": scratch, "--library": library}
        for name, path in paths.items():
            arguments += [name, path] if path is not None else []
        arguments += ["--cpu-mask", f"{self.cpu_mask:x}"] if self.cpu_mask is not None else []
        return [*arguments, "--profile"] if self.profile else arguments

    @property
    def timeout_s(self) -> float:
        """When a runner that has not answered is given up: both phases at their longest, and time to load."""
        return 2 * self.max_secs + 300


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of a model as its runtime tells it; -1 in the shape is any length."""

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
        khz_before, khz_after: that CPU's frequency; None where the device does not tell it.
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
    """A whole and successful answer.

    Attributes:
        runtime_version: "" where the library does not tell it (LiteRT).
        started_unix_ns, started_monotonic_ns: the two clocks of the device, read together.
        peak_rss_start_bytes, peak_rss_bytes: the largest resident memory with the runtime's library open but no model
            loaded, and after the last measured run. None where the device does not tell it.
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
        """The first inference, which pays for lazy work of the runtime."""
        return self.first.ns[0]

    def to_json(self) -> dict[str, Any]:
        """Plain data, with tuples as lists."""
        return asdict(self)


def parse_answer(
    stdout: str | Iterable[str], *, exit_code: int, stderr: str = "", what: str = "the runner"
) -> RunnerAnswer:
    """The answer that a runner gave on standard output.

    Raises RunnerFailed where it told an error, ended with another exit code than 0, or printed anything that is not a
    whole answer of this protocol's version; the error shows what was seen.
    """
    lines = stdout.splitlines() if isinstance(stdout, str) else list(stdout)
    events = [_event(line, what, stderr) for line in lines if line.strip()]
    for event in events:
        if event["event"] == "error":
            raise RunnerFailed(
                f"{what} failed at the stage '{event.get('stage', '?')}': {event.get('message', '?')}",
                details=_tail(stderr),
            )
    if exit_code != 0:
        raise RunnerFailed(
            f"{what} ended with exit code {exit_code} and no word", details=[*_seen(lines), *_tail(stderr)]
        )
    try:
        return _answer_of(events)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"no '{error.args[0]}'" if isinstance(error, KeyError) else str(error)
        raise RunnerFailed(f"{what} gave no whole answer: {reason}", details=[*_seen(lines), *_tail(stderr)]) from error


def _event(line: str, what: str, stderr: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
        if not isinstance(event, dict) or not isinstance(event.get("event"), str):
            raise ValueError("no event")
    except (ValueError, RecursionError):
        raise RunnerFailed(
            f"{what} printed something that is no answer", details=[*_seen([line]), *_tail(stderr)]
        ) from None
    return event


def _answer_of(events: list[dict[str, Any]]) -> RunnerAnswer:
    def one(kind: str, phase: str | None = None) -> dict[str, Any]:
        found = [e for e in events if e["event"] == kind and (phase is None or e.get("phase") == phase)]
        if len(found) != 1:
            raise ValueError(f"{len(found)} events '{kind}'{f' of phase {phase!r}' if phase else ''}, one is expected")
        return found[0]

    start = one("start")
    if start["protocol"] != PROTOCOL_VERSION:
        raise ValueError(f"it speaks protocol {start['protocol']}, not {PROTOCOL_VERSION}")
    loaded, done = one("loaded"), one("done")
    profile = [event for event in events if event["event"] == "profile"]
    first = _samples(one("samples", "first"))
    if len(first) != 1:
        raise ValueError(f"{len(first)} first inferences")
    return RunnerAnswer(
        runtime=_typed(start["runtime"], str),
        runtime_version=_typed(start["runtime_version"], str),
        abi=_typed(start["abi"], str),
        threads=_typed(start["threads"], int),
        started_unix_ns=_typed(start["unix_ns"], int),
        started_monotonic_ns=_typed(start["monotonic_ns"], int),
        load_ns=_typed(loaded["load_ns"], int),
        inputs=_tensors(loaded["inputs"]),
        outputs=_tensors(loaded["outputs"]),
        first=first,
        warmup=_samples(one("samples", "warmup")),
        runs=_samples(one("samples", "run")),
        peak_rss_start_bytes=_or_none(start["peak_rss_bytes"]),
        peak_rss_bytes=_or_none(done["peak_rss_bytes"]),
        operators=_operators(profile[0]["operators"]) if profile else None,
    )


def _typed(value: Any, kind: type[T]) -> T:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{value!r} where {kind.__name__} is expected")
    return value


def _or_none(value: Any) -> int | None:
    return None if value is None else _typed(value, int)


def _column(event: dict[str, Any], name: str, check: Callable[[Any], T]) -> tuple[T, ...]:
    column = event[name]
    if column is None:  # the device tells nothing of this
        column = [None] * len(event["ns"])
    if len(column) != len(event["ns"]):
        raise ValueError(f"the column {name} has {len(column)} entries, ns has {len(event['ns'])}")
    return tuple(check(value) for value in column)


def _samples(event: dict[str, Any]) -> Samples:
    def whole(value: Any) -> int:
        return _typed(value, int)

    return Samples(
        start_ns=_column(event, "start_ns", whole),
        ns=_column(event, "ns", whole),
        cpu_before=_column(event, "cpu_before", _or_none),
        cpu_after=_column(event, "cpu_after", _or_none),
        khz_before=_column(event, "khz_before", _or_none),
        khz_after=_column(event, "khz_after", _or_none),
    )


def _tensors(rows: list[dict[str, Any]]) -> tuple[TensorInfo, ...]:
    return tuple(
        TensorInfo(_typed(row["name"], str), _typed(row["dtype"], str), tuple(_typed(n, int) for n in row["shape"]))
        for row in rows
    )


def _operators(rows: list[dict[str, Any]]) -> tuple[OperatorTime, ...]:
    return tuple(
        OperatorTime(
            _typed(row["name"], str),
            _typed(row["type"], str),
            _typed(row["calls"], int),
            _typed(row["total_ns"], int),
        )
        for row in rows
    )


def _seen(lines: Sequence[str]) -> list[str]:
    if not any(line.strip() for line in lines):
        return ["it printed nothing"]
    return [f"it printed: {line[:160]!r}" for line in lines if line.strip()][-3:]


def _tail(stderr: str) -> list[str]:
    return [line[:200] for line in stderr.strip().splitlines()[-4:]]
