"""What a runtime takes of an artifact's operators into its delegate, or computes in integers, and why not the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RefusalKind = Literal["operator", "dtype", "zero point", "scale", "shape", "rank", "constant", "option", "neighbours"]


@dataclass(frozen=True)
class Refusal:
    """Why an operator stays outside: a kind, and the reason in words."""

    kind: RefusalKind
    reason: str


@dataclass(frozen=True)
class RefusedOperator:
    """An operator that stays outside.

    Attributes:
        name, type, module: of the operator in the file.
        refusal: why.
        bound_instructions: the fewest Arm instructions that it could take: its multiply-accumulates, or the loads and
            stores of its tensors, whichever are more; None where neither is known.
        advice: the rewrite or the rule that mends it; "" where none is known.
        breaks: it lies between two partitions of the delegate.
    """

    name: str
    type: str
    module: str
    refusal: Refusal
    bound_instructions: int | None
    advice: str = ""
    breaks: bool = False


@dataclass(frozen=True)
class Partition:
    """Operators that the delegate runs together.

    Attributes:
        operators: how many.
        first, last: the module and type of two of them, in the file's order.
        bound_instructions: as in RefusedOperator, of all.
    """

    operators: int
    first: str
    last: str
    bound_instructions: int | None


@dataclass(frozen=True)
class Explanation:
    """An artifact as its runtime will divide it.

    Attributes:
        artifact: as it is called.
        runtime: its title.
        rules: the version of the runtime that the rules were read from, and which.
        inside: what the operators that are not refused have in common, such as "in the XNNPACK delegate".
        operators: how many there are; those that move no data at run time are left out.
        partitions: in the order of their execution; empty for a runtime without a delegate.
        refused: in the file's order.
        note: what a reader must know, or "".
    """

    artifact: str
    runtime: str
    rules: str
    inside: str
    operators: int
    partitions: tuple[Partition, ...]
    refused: tuple[RefusedOperator, ...]
    note: str = ""
