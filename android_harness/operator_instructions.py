"""Executed Arm instructions of each operator: the runtime's own profiler under a clock that counts instructions.

The counting plug-in keeps its counters in a file, and a library that is preloaded into the emulated runner answers every
question for the time with them: one microsecond for one instruction. The profile of a runtime, in PROTOCOL.md's rows,
then has instructions where it has time elsewhere. In a second run only multiply-accumulate instructions advance the clock.

The profiler executes instructions too. What it takes between two operators is outside of them; what it takes within one is
part of that operator's count (ONNX Runtime). The plain count of `qemu.count_instructions` is without any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.measurement import OperatorTime
from edgedeploy.core.parity import Array
from edgedeploy.core.storage.files import private_folder

from .bundles import Bundle
from .host_runner import HostRunOptions, run_on_host
from .protocol import RunRequest
from .qemu import DEFAULT_CPU, emulator, read_counts
from .qemu_libraries import guest_clock

USEFUL_CLASSES = ("float_mac", "int8_dot")
_NS_PER_INSTRUCTION = 1000
# Under this clock a second is a million instructions: a limit in seconds must not end the run.
_ENDLESS_SECS = 1e9


@dataclass(frozen=True)
class OperatorCount:
    """Instructions of one operator in one inference; `useful` are vector multiply-accumulates: FMLA, SDOT and their kin."""

    name: str
    type: str
    delegated: bool | None
    instructions: int
    useful: int


@dataclass(frozen=True)
class OperatorCounts:
    """Instructions of one profiled inference: of all, and of its operators in the order of execution."""

    total: int
    operators: tuple[OperatorCount, ...]


@dataclass(frozen=True)
class _ProfiledRun:
    total: int
    operators: tuple[OperatorTime, ...]


def count_operators(
    bundle: Bundle, model: Path, inputs: Sequence[Array], cpu: str = DEFAULT_CPU, *, timeout_s: float = 1800
) -> OperatorCounts:
    """Counts each operator of the fourth inference with these inputs, on one thread.

    Raises UnknownName for a CPU that is not known, RunnerFailed with what is missing or went wrong.
    """
    every, useful = (
        _profile(bundle, model, inputs, cpu, tick, timeout_s) for tick in ("all", "+".join(USEFUL_CLASSES))
    )
    if [row.name for row in every.operators] != [row.name for row in useful.operators]:
        raise RunnerFailed(
            "two profiles of one artifact have different operators",
            details=[f"{len(every.operators)} and {len(useful.operators)} rows"],
        )
    counts = tuple(
        OperatorCount(
            row.name,
            row.type,
            row.delegated,
            row.total_ns // _NS_PER_INSTRUCTION,
            useful_row.total_ns // _NS_PER_INSTRUCTION,
        )
        for row, useful_row in zip(every.operators, useful.operators, strict=True)
    )
    if sum(count.instructions for count in counts) > every.total:
        raise RunnerFailed("the operators of a profile take more instructions than the whole inference")
    return OperatorCounts(every.total, counts)


def _profile(
    bundle: Bundle, model: Path, inputs: Sequence[Array], cpu: str, tick: str, timeout_s: float
) -> _ProfiledRun:
    """A profile whose clock is advanced by the classes of instructions in `tick`."""
    request = RunRequest(threads=1, warmup_runs=2, num_runs=1, max_secs=_ENDLESS_SECS, profile=True)
    library = guest_clock()
    if set(" :") & set(str(library)):
        raise RunnerFailed(
            "the loader preloads no library with a space or a colon in its path",
            details=[str(library)],
            hint="set EDGEDEPLOY_CACHE_DIR to another folder",
        )
    with private_folder() as folder:
        counts, clock = folder / "counts.json", folder / "clock"
        environment = (f"LD_PRELOAD={library}", f"EDGEDEPLOY_GUEST_CLOCK={clock}")
        wrap = emulator(cpu, folder, counts, (f"clock={clock}", f"tick={tick}"), environment)
        options = HostRunOptions(want_outputs=False, timeout_s=timeout_s, wrap=wrap)
        answer = run_on_host(bundle, model, [inputs], request, options).answer
        return _ProfiledRun(sum(read_counts(counts).inferences[-1].values()), answer.operators or ())
