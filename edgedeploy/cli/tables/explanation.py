"""The tables of `explain`: what stays outside and why, and the partitions."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from edgedeploy.core.results.explanation import Explanation, RefusedOperator

from .layout import PLAIN, Layout
from .text import fold, new_table, render

SHOWN_PARTITIONS = 20


def render_explanation(found: Explanation, layout: Layout = PLAIN) -> str:
    """A line on the whole, then the operators outside by type and reason, then the partitions."""
    inside = found.operators - len(found.refused)
    divided = f", in {_counted(len(found.partitions), 'partition')}" if found.partitions else ""
    title = f"{found.artifact}: {inside} of {found.operators} operators {found.inside}{divided}"
    parts: list[Table | str] = [title, f"rules: {found.rules}", *([found.note] if found.note else [])]
    if found.refused:
        parts += ["", _outside(found.refused)]
        if any(row.breaks for row in found.refused):
            parts.append("* lies between partitions: the data leaves the delegate and comes back")
    if len(found.partitions) > 1:
        parts += ["", _partitions(found)]
        if len(found.partitions) > SHOWN_PARTITIONS:
            parts.append(f"and {len(found.partitions) - SHOWN_PARTITIONS} more; --json has all")
    return render(*parts, layout=layout)


def _outside(refused: Sequence[RefusedOperator]) -> Table:
    groups: dict[tuple[str, str], list[RefusedOperator]] = {}
    for row in refused:
        groups.setdefault((row.type, row.refusal.kind), []).append(row)
    table = new_table(">outside", "operator", "first at", ">≥ instr M", "why; what mends it")
    fold(table, 2, 4)
    for (type, _), rows in groups.items():
        bounds = [row.bound_instructions for row in rows if row.bound_instructions]
        mark = " *" if any(row.breaks for row in rows) else ""
        table.add_row(
            str(len(rows)),
            f"{type}{mark}",
            rows[0].module or rows[0].name,
            f"{sum(bounds) / 1e6:.2f}" if bounds else "",
            rows[0].refusal.reason + (f"; try: {rows[0].advice}" if rows[0].advice else ""),
        )
    return table


def _partitions(found: Explanation) -> Table:
    table = new_table(">partition", ">operators", ">≥ instr M", "from", "to")
    fold(table, 3, 4)
    for number, part in enumerate(found.partitions[:SHOWN_PARTITIONS]):
        bound = f"{part.bound_instructions / 1e6:.2f}" if part.bound_instructions else ""
        table.add_row(str(number), str(part.operators), bound, part.first, part.last)
    return table


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
