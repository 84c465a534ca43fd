"""What each block costs in float32 instead of int8, in Arm instructions.

Counted per operator under emulation where that is possible: the plain artifact and one in float are profiled once. Else the
fewest instructions that the multiply-accumulates could take: 4 at a time in float, 16 or 8 in int8.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.recipes import FP32
from edgedeploy.core.reporter import Reporter

from .blocks import is_within

if TYPE_CHECKING:
    from edgedeploy.core.measurement import InstructionProfile
    from edgedeploy.core.provenance import OperatorFact

    from .trials import Trial, Trials

LEAST_SHARE = 1e-4  # of all instructions, that an exception costs: the conversions around it are not free
BOUND = "bound"


@dataclass(frozen=True)
class Costs:
    """Instructions by module path.

    Attributes:
        source: the emulated CPU's name, or "bound".
        int8, in_float: of each module's own operators, of the plain artifact and of one in float.
        plain_total: of the plain artifact.
    """

    source: str
    int8: dict[str, float]
    in_float: dict[str, float]
    plain_total: int

    def of(self, block: str) -> int:
        """How many instructions more a block takes in float32; at least a little."""
        more = _within(self.in_float, block) - _within(self.int8, block)
        return round(max(more, LEAST_SHARE * self.plain_total, 1.0))


def measured_costs(trials: Trials, plain: Trial, reporter: Reporter) -> Costs:
    """Costs by emulation, else bounds; which of them is reported."""
    try:
        return _counted(trials, plain, reporter)
    except EdgedeployError as error:
        reporter.note(
            f"costs are the least that the arithmetic could take, as nothing could be emulated: {error.message}"
        )
        return bounds(plain.record.operators)


def bounds(operators: Iterable[OperatorFact]) -> Costs:
    """The fewest instructions that the operators' multiply-accumulates could take."""
    from edgedeploy.benchmarks.executors.operator_tracing import FLOAT_MACS_PER_INSTRUCTION, bound_of

    int8: dict[str, float] = {}
    in_float: dict[str, float] = {}
    for operator in operators:
        _add(int8, operator.module, bound_of(operator) or 0.0)
        _add(in_float, operator.module, (operator.macs or 0) / FLOAT_MACS_PER_INSTRUCTION)
    return Costs(BOUND, int8, in_float, round(sum(int8.values())))


def _counted(trials: Trials, plain: Trial, reporter: Reporter) -> Costs:
    from edgedeploy.benchmarks.executors import RunOptions
    from edgedeploy.benchmarks.executors.qemu import QemuExecutor

    executor = QemuExecutor()
    profiles: list[InstructionProfile] = []
    for name, trial in (("int8", plain), ("float", trials(FP32))):
        with reporter.stage(f"count the instructions of each operator in {name} on {executor.info.name}"):
            profiles.append(executor.profile(trials.workload(trial), RunOptions(), reporter))
    int8, in_float = map(_by_module, profiles)
    return Costs(executor.info.name, int8, in_float, profiles[0].total)


def _by_module(profile: InstructionProfile) -> dict[str, float]:
    found: dict[str, float] = {}
    for operator in profile.operators:
        _add(found, operator.module, operator.instructions)
    return found


def _add(counts: dict[str, float], module: str, count: float) -> None:
    counts[module] = counts.get(module, 0.0) + count


def _within(counts: dict[str, float], block: str) -> float:
    return sum(count for module, count in counts.items() if is_within(module, block))
