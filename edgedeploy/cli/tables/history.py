"""The tables of the command history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgedeploy.core.results.history import Series
from edgedeploy.core.results.source import short_revision

from .layout import PLAIN, Layout
from .text import new_table, render, render_table

if TYPE_CHECKING:
    from edgedeploy.pipeline.results.history import History


def render_history(found: History, layout: Layout = PLAIN) -> str:
    """A line for each row and device, and below the table one for each change point."""
    table = new_table("model", "target", ">threads", "device", ">measured", ">first", ">last", ">change", ">points")
    for series in found.series:
        key = series.key
        cells = [_figure(series, series.points[index].value) for index in (0, -1)]
        change = f"{series.total_change:+.1%}" if series.changes else ""
        threads = "instr" if key.counted else str(key.threads)
        counts = str(len(series.points)), str(len(series.changes) or "")
        table.add_row(key.model, key.target, threads, series.device, counts[0], *cells, change, counts[1])
    lines = [line for series in found.series for line in _changes(series)]
    lines += [f"not readable: {text}" for text in found.damaged]
    if not found.series:
        return render(table, *lines, layout=layout) if lines else render_table(table, layout)
    return render("medians in ms, instructions in millions", table, *lines, layout=layout)


def _figure(series: Series, value: float) -> str:
    return f"{value / 1e6:.3f}" if series.key.counted else f"{value / 1e6:.2f}"


def _changes(series: Series) -> list[str]:
    lines = []
    for change in series.changes:
        point = series.points[change.index]
        since = f"{short_revision(change.revision)} ({point.started_at})" if change.revision else point.started_at
        context = f"; at the same time {', '.join(change.context)}" if change.context else ""
        word = "slower" if change.change > 0 else "faster"
        lines.append(f"{series.key} on {series.device}: {abs(change.change):.1%} {word} since {since}{context}")
    return lines


def render_query(found: tuple[list[str], list[tuple[Any, ...]]], layout: Layout = PLAIN) -> str:
    """The result of a query as it is."""
    columns, rows = found
    table = new_table(*columns)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    return render_table(table, layout)
