"""Two artifacts in turns on one device, with a canary between: `bench A B --interleave`. Imports no torch."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from edgedeploy.core.artifact import Artifact
from edgedeploy.core.errors import NotTrustworthy, UsageError
from edgedeploy.core.measurement import Measurement, Profile
from edgedeploy.core.reporter import NullReporter, Reporter
from edgedeploy.core.results.paired import PairedComparison
from edgedeploy.pipeline.bench import (
    OnRow,
    RowContext,
    Rows,
    artifacts_for_runtime,
    find_named,
    load_named,
    open_for,
    profile_of,
    row_of,
    threads_of,
)
from edgedeploy.pipeline.verification import HostReference, workload_of

from .options import BenchKeywords, BenchOptions
from .recorded import as_recorded, line_of
from .revisions import source_here

if TYPE_CHECKING:
    from edgedeploy.benchmarks.executors import Executor, RunOptions, RunOutput, Workload

PROFILES = 5  # launches of each artifact

OnPair = Callable[[PairedComparison], object]


def bench_interleaved(
    artifacts: Sequence[str | Path | Artifact],
    *,
    seed: int = 0,
    reporter: Reporter | None = None,
    on_row: OnRow | None = None,
    on_pair: OnPair | None = None,
    **options: Unpack[BenchKeywords],
) -> list[PairedComparison]:
    """Launches two artifacts in turns, as many blocks as `launches`, and says which is faster.

    In each block both are launched once, in an order drawn with `seed`; before the first block and after each one a canary
    is launched, a small artifact that never changes.

    Args:
        artifacts: two, as `bench` takes them: the base, and what is compared with it.
        on_row: called for the row of each, as `bench` calls it.
        on_pair: called with each comparison, one for each number of threads.
        options: as those of `bench`; "interleaved" is the default protocol.

    Raises as `bench`, and UsageError where these are not two artifacts, or the device counts instructions.
    """
    chosen = as_recorded(BenchOptions(**({"protocol": "interleaved"} | options)))
    reporter = reporter or NullReporter()
    found = artifacts_for_runtime(_two(artifacts, reporter), chosen.runtime, reporter)
    if len(found) != 2:
        raise UsageError("--interleave takes two artifacts of this runtime")
    rows = Rows(chosen.json_file, on_row, source_here(chosen.device))
    with open_for(chosen, rows, line_of(chosen, found, seed)) as executor, HostReference(reporter) as host:
        if executor.info.kind == "qemu":
            raise UsageError(
                "instructions are counted, and repeat: there is nothing to interleave",
                hint="edgedeploy bench --device qemu --json, once for each, then edgedeploy compare",
            )
        for threads in threads_of(executor, chosen.threads, reporter):
            turns = _Turns(executor, chosen.run_options(threads), reporter)
            turns.launch_all(found, seed)
            measured = turns.rows(host)
            if chosen.profile:
                measured = turns.profiled(measured)
            pair = turns.judge(measured[0], measured[1], seed)
            rows.add_pair(measured, pair)
            if on_pair:
                on_pair(pair)
    if chosen.require_trust:
        check_pairs(rows.pairs)
    return rows.pairs


def check_pairs(pairs: Sequence[PairedComparison]) -> None:
    """Raises NotTrustworthy where a comparison is not trustworthy."""
    doubted = [pair for pair in pairs if pair.verdict == "not trustworthy"]
    if doubted:
        raise NotTrustworthy(
            f"{len(doubted)} of the comparisons {'is' if len(doubted) == 1 else 'are'} not trustworthy",
            details=[f"{pair.head} against {pair.base}: {pair.reason}" for pair in doubted],
        )


def _two(artifacts: Sequence[str | Path | Artifact], reporter: Reporter) -> list[Artifact]:
    found = load_named(find_named(artifacts), [], reporter)
    if len(found) != 2:
        raise UsageError(
            f"--interleave takes two artifacts, not {len(found)}",
            details=[str(artifact.folder) for artifact in found],
            hint="edgedeploy bench artifacts/topformer-tiny/tflite-fp32 artifacts/topformer-tiny/tflite-int8 --interleave",
        )
    return found


def least_disturbed(profiles: Sequence[Profile]) -> Profile | None:
    """Of each operator the launch in which it took least: other load reaches some operators of each launch, not all.

    Launches whose operators are not those of the first one are left out.
    """
    if not profiles:
        return None
    first = profiles[0]
    names = [operator.name for operator in first.operators]
    alike = [
        found
        for found in profiles
        if found.runs == first.runs and [operator.name for operator in found.operators] == names
    ]
    columns = zip(*(found.operators for found in alike), strict=True)
    return replace(first, operators=tuple(min(column, key=lambda operator: operator.total_ns) for column in columns))


@dataclass
class _Turns:
    """The launches of two artifacts and the canary, in the order in which they were made."""

    executor: Executor
    options: RunOptions
    reporter: Reporter
    artifacts: list[tuple[Artifact, Workload]] = field(default_factory=list)
    outputs: tuple[list[RunOutput], list[RunOutput]] = field(default_factory=lambda: ([], []))
    canary: list[RunOutput] = field(default_factory=list)
    head_first: list[bool] = field(default_factory=list)
    started: str = ""

    def launch_all(self, artifacts: Sequence[Artifact], seed: int) -> None:
        """All blocks, each with both artifacts; the canary before them, between them and after them."""
        from edgedeploy.benchmarks.canary import canary_workload
        from edgedeploy.benchmarks.comparison.paired import random_order

        self.artifacts = [(artifact, workload_of(artifact, artifact.golden())) for artifact in artifacts]
        canary = canary_workload(self.artifacts[0][1].runtime)
        for workload in (*(workload for _, workload in self.artifacts), canary):
            self.executor.prepare(workload, self.reporter)
        self.started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.head_first = random_order(self.options.launches, seed)
        with self.reporter.stage(f"measure {artifacts[0]} and {artifacts[1]} in turns, {len(self.head_first)} blocks"):
            self.canary.append(self._launch(canary))
            for head_first in self.head_first:
                for side in (1, 0) if head_first else (0, 1):
                    self.outputs[side].append(self._launch(self.artifacts[side][1]))
                self.canary.append(self._launch(canary))

    def _launch(self, workload: Workload) -> RunOutput:
        return self.executor.run(workload, replace(self.options, launches=1), self.reporter)

    def rows(self, host: HostReference) -> list[Measurement]:
        """The row of each artifact, over all blocks."""
        from edgedeploy.benchmarks.executors.base import merged

        context = RowContext(self.executor, host, self.options.threads, "interleaved", self.started)
        return [
            row_of(artifact, workload, merged(outputs), context)
            for (artifact, workload), outputs in zip(self.artifacts, self.outputs, strict=True)
        ]

    def profiled(self, rows: Sequence[Measurement]) -> list[Measurement]:
        """The rows with the time of each operator, from several launches in turns."""
        profiles: tuple[list[Profile], list[Profile]] = ([], [])
        for _ in range(PROFILES):
            for side, (artifact, _) in enumerate(self.artifacts):
                found = profile_of(artifact, self.executor, self.options, self.reporter)
                if isinstance(found, Profile):
                    profiles[side].append(found)
        return [replace(row, profile=least_disturbed(found)) for row, found in zip(rows, profiles, strict=True)]

    def judge(self, base: Measurement, head: Measurement, seed: int) -> PairedComparison:
        """The verdict."""
        from edgedeploy.benchmarks.comparison.paired import Blocks, judge_blocks

        base_samples, head_samples, canary = (
            [output.samples_ns for output in outputs] for outputs in (*self.outputs, self.canary)
        )
        return judge_blocks(Blocks(base, head, base_samples, head_samples, canary, seed, self.head_first))
