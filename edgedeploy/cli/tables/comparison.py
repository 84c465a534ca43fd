"""The table of the command compare."""

from __future__ import annotations

from edgedeploy.core.results.comparison import Comparison, Difference, RowComparison

from .layout import PLAIN, Layout
from .text import new_table, render


def render_comparison(found: Comparison, layout: Layout = PLAIN) -> str:
    """The verdicts, then what must be known of each row, then how sure all of it is."""
    devices = any(row.key.device for row in found.rows)
    columns = ["model", "target", *(["device"] if devices else [])]
    table = new_table(*columns, "verdict", "figure", ">base", ">head", ">change", ">95 % interval", ">min Δ%")
    for row in found.rows:
        names = [row.key.model, f"{row.key.target}{_threads(row)}", *([row.key.device] if devices else [])]
        table.add_row(*names, row.verdict, *_cells(row.difference))
    lines = [line for row in found.rows for line in _lines(row)]
    lines += [
        f"{name} has {row}, the other has not"
        for name, rows in ((found.base, found.only_in_base), (found.head, found.only_in_head))
        for row in rows
    ]
    lines += [
        f"budget {budget.metric}: {budget.text}{'' if budget.passed else ': not kept'}"
        for budget in found.budgets
        if budget.judged
    ]
    lines += found.unknown_budgets()
    lines += [f"version of {name}: {change}" for name, change in found.versions.items()]
    return render(
        f"{found.headline}; times in ms, instructions in millions", table, *lines, _rates(found), layout=layout
    )


def _threads(row: RowComparison) -> str:
    return "" if row.key.counted or row.key.threads == 1 else f" ×{row.key.threads}"


def _cells(found: Difference | None) -> list[str]:
    if found is None:
        return [""] * 6
    counted = found.metric == "instructions"
    digits = 3 if counted else 2
    return [
        "instr" if counted else found.metric,
        f"{found.base / 1e6:.{digits}f}",
        f"{found.head / 1e6:.{digits}f}",
        f"{found.change:+.2%}" if counted else f"{found.change:+.1%}",
        "exact" if counted else f"{found.low:+.1%} to {found.high:+.1%}",
        "" if counted else f"{100 * found.smallest_change:.1f}",
    ]


def _lines(row: RowComparison) -> list[str]:
    """What a reader must know of this row beside its figures."""
    lines = [*row.remarks()]
    lines += [row.reason] if row.reason else []
    lines += [f"{gate.metric} {gate.text}: worse than allowed" for gate in row.gates if not gate.passed]
    lines += row.causes
    return [f"{row.key}: {line}" for line in lines]


def _rates(found: Comparison) -> str:
    timed = sum(not row.key.counted for row in found.rows)
    if not timed:
        return "instructions are counted, not timed: they repeat within 0.01 %"
    learned = sorted({found.noise.get(str(row.key), 0) for row in found.rows if not row.key.counted})
    source = "the default noise model" if learned == [0] else f"noise learned from {learned[-1]} measurements"
    return (
        f"of {1 / found.false_alarm_rate:.0f} comparisons of equal artifacts 1 has a false alarm ({source}); "
        f"same means within {found.margin:.0%}, as sure as that"
    )
