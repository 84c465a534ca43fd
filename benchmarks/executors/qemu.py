"""The executor for an emulated Arm CPU: it counts instructions. Its time means nothing, so none is kept."""

from __future__ import annotations

from dataclasses import replace

from edgedeploy.android_harness.bundles import Bundle, build_bundle
from edgedeploy.android_harness.operator_instructions import OperatorCount, count_operators
from edgedeploy.android_harness.qemu import CPUS, DEFAULT_CPU, count_instructions
from edgedeploy.core.device import ConditionLogEntry, DeviceInfo
from edgedeploy.core.errors import UnknownName
from edgedeploy.core.measurement import InstructionCount, InstructionProfile, OperatorInstructions
from edgedeploy.core.provenance import OperatorFact
from edgedeploy.core.reporter import Reporter

from .base import RunOptions, RunOutput, Workload
from .operator_tracing import FLOAT_MACS_PER_INSTRUCTION, INT8_MACS_PER_INSTRUCTION, bound_of, trace


class QemuExecutor:
    """A CPU that QEMU emulates, by name; one thread."""

    is_host = False
    restored: tuple[ConditionLogEntry, ...] = ()

    def __init__(self, cpu: str = "") -> None:
        self.cpu = cpu or DEFAULT_CPU
        if self.cpu not in CPUS:
            raise UnknownName("emulated CPU", self.cpu, CPUS, hint=f"one of {', '.join(CPUS)}")
        self.info = DeviceInfo(
            kind="qemu", name=f"qemu:{self.cpu}", model=f"emulated {self.cpu}", abis=("arm64-v8a",), emulated=True
        )
        self._bundles: dict[str, Bundle] = {}

    def prepare(self, workload: Workload, reporter: Reporter) -> None:
        """Builds the runner, the first time."""
        if workload.runtime not in self._bundles:
            with reporter.stage(f"get the {workload.runtime} runner for arm64"):
                self._bundles[workload.runtime] = build_bundle(workload.runtime, "arm64")

    def run(self, workload: Workload, options: RunOptions, reporter: Reporter) -> RunOutput:
        """Counts one inference of the first set of inputs on one thread; `options` are about time and do not apply."""
        self.prepare(workload, reporter)
        bundle = self._bundles[workload.runtime]
        counted = count_instructions(bundle, workload.path, workload.inputs[0], self.cpu)
        return RunOutput(
            outputs=[counted.outputs],
            runtime=workload.runtime,
            runtime_version=bundle.version,
            instructions=with_bound(counted.instructions, workload),
        )

    def profile(self, workload: Workload, options: RunOptions, reporter: Reporter) -> InstructionProfile:
        """Counts the instructions of each operator; `options` are about time and do not apply."""
        self.prepare(workload, reporter)
        counts = count_operators(self._bundles[workload.runtime], workload.path, workload.inputs[0], self.cpu)
        traced = trace(workload.runtime, counts.operators, workload.operators)
        rows = zip(counts.operators, traced, strict=True)
        return InstructionProfile(
            cpu=self.cpu,
            total=counts.total,
            outside_operators=counts.total - sum(row.instructions for row in counts.operators),
            operators=tuple(_operator(row, fact, counts.total) for row, fact in rows),
        )


def _operator(row: OperatorCount, fact: OperatorFact | None, total: int) -> OperatorInstructions:
    """A row of the profile beside what the artifact knows of its operator, if that is known."""
    bound = None if fact is None else bound_of(fact)
    return OperatorInstructions(
        name=row.name,
        type=row.type,
        delegated=row.delegated,
        instructions=row.instructions,
        useful=row.useful,
        share=row.instructions / total,
        module="" if fact is None else fact.module,
        macs=None if fact is None else fact.macs,
        bound=bound,
        ratio=row.instructions / bound if bound else None,
    )


def with_bound(count: InstructionCount, workload: Workload) -> InstructionCount:
    """The count beside the fewest instructions that the arithmetic alone could take; None where MACs are not known."""
    per_instruction = INT8_MACS_PER_INSTRUCTION if workload.int8 else FLOAT_MACS_PER_INSTRUCTION
    bound = None if not workload.macs else workload.macs / per_instruction
    return replace(
        count,
        macs=workload.macs,
        macs_per_instruction=per_instruction,
        bound=bound,
        ratio=count.total / bound if bound else None,
    )
