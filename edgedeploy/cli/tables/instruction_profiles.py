"""Tables of `bench --device qemu --profile`: executed instructions by kind of operator, and of single operators."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from edgedeploy.core.measurement import InstructionProfile, Measurement, OperatorInstructions

from .layout import PLAIN, Layout
from .text import fold, new_table, render

OUTSIDE_MARK = " *"
FIGURES = (">instr M", ">share %", ">useful M", ">× bound")


def render_instruction_profiles(rows: Sequence[Measurement], layout: Layout = PLAIN, *, top: int = 10) -> str:
    """For each profiled row the `top` kinds of operators and the `top` single operators, the largest first."""
    parts: list[Table | str] = []
    for row in rows:
        if row.instruction_profile is not None:
            parts += _parts(row, row.instruction_profile, top)
    return render(*parts, layout=layout)


def _parts(row: Measurement, profile: InstructionProfile, top: int) -> list[Table | str]:
    parts: list[Table | str] = [
        f"\n{row.model} {row.target}: {_millions(profile.total)} M instructions with the profiler{_plain(row)}",
        _kinds_table(profile, top),
    ]
    outside = [operator for operator in profile.operators if operator.delegated is False]
    if outside:
        total = sum(operator.instructions for operator in outside)
        parts.append(f"* outside the delegate: {_millions(total)} M, {100 * total / profile.total:.1f} %")
    if top:
        parts += [f"\n{row.model} {row.target}: the largest operators", _operators_table(profile, top)]
    return parts


def _plain(row: Measurement) -> str:
    return "" if row.instructions is None else f", {_millions(row.instructions.total)} M without"


def _kinds_table(profile: InstructionProfile, top: int) -> Table:
    table = new_table("operator", ">calls", *FIGURES)
    fold(table, 0)
    kinds: dict[tuple[str, bool], list[OperatorInstructions]] = {}
    for operator in profile.operators:
        kinds.setdefault((operator.type, operator.delegated is False), []).append(operator)
    ordered = sorted(kinds.items(), key=lambda kind: -sum(op.instructions for op in kind[1]))
    for (type_, outside), operators in ordered[:top]:
        _add_row(table, profile, type_ + OUTSIDE_MARK * outside, operators)
    others = [operator for _, operators in ordered[top:] for operator in operators]
    if others:
        kinds_left = len(ordered) - top
        _add_row(table, profile, f"{kinds_left} other kind{'s' if kinds_left > 1 else ''}", others)
    outside_share = f"{100 * profile.outside_operators / profile.total:.1f}"
    table.add_row("outside operators", "", _millions(profile.outside_operators), outside_share, "", "")
    return table


def _add_row(table: Table, profile: InstructionProfile, name: str, operators: Sequence[OperatorInstructions]) -> None:
    instructions = sum(operator.instructions for operator in operators)
    table.add_row(
        name,
        str(len(operators)),
        _millions(instructions),
        f"{100 * instructions / profile.total:.1f}",
        _millions(sum(operator.useful for operator in operators)),
        _ratio(operators),
    )


def _operators_table(profile: InstructionProfile, top: int) -> Table:
    table = new_table("operator", "module", *FIGURES)
    fold(table, 0, 1)
    largest = sorted(profile.operators, key=lambda operator: -operator.instructions)
    for operator in largest[:top]:
        table.add_row(
            operator.name + OUTSIDE_MARK * (operator.delegated is False),
            operator.module,
            _millions(operator.instructions),
            f"{100 * operator.share:.1f}",
            _millions(operator.useful),
            _ratio([operator]),
        )
    return table


def _ratio(operators: Iterable[OperatorInstructions]) -> str:
    """Instructions over the bound, of those operators that have one."""
    bound = [(operator.instructions, operator.bound) for operator in operators if operator.bound]
    return f"{sum(count for count, _ in bound) / sum(least for _, least in bound):.2f}" if bound else ""


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f}"
