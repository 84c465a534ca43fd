"""What all tables share: columns, cells that mean the same everywhere, and the way from a rich table to text."""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from edgedeploy.core.errors import visible
from edgedeploy.core.parity import Parity
from edgedeploy.core.results.verdict import Interval

from .fit import split_table, wrapped
from .layout import PLAIN, Layout

NOTHING = "nothing to show\n"
MAX_WIDTH = 10_000
MIN_FOLDED = 8


def new_table(*columns: str) -> Table:
    """A table without borders. `>` before a header aligns its column to the right, as numbers want it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left", no_wrap=True)
    return table


def fact_table(facts: Iterable[tuple[str, str]]) -> Table:
    """A name and its value on each line; long values are folded, empty ones left out."""
    table = new_table("", "")
    table.show_header = False
    fold(table, 1)
    for name, value in facts:
        if value:
            table.add_row(name, value)
    return table


def fold(table: Table, *columns: int) -> None:
    """Long cells of these columns may go on in the next line, so that the table fits."""
    for index in columns:
        table.columns[index].no_wrap, table.columns[index].overflow = False, "fold"


def render(*parts: Table | str, layout: Layout = PLAIN) -> str:
    """The parts below each other; on a terminal as wide as that, elsewhere as wide as they are. No figure is cut off."""
    text = "".join(
        _render_text(part, layout) if isinstance(part, str) else _render_table(part, layout) for part in parts
    )
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _render_text(text: str, layout: Layout) -> str:
    shown = visible(text, keep="\n")
    return (wrapped(shown, layout.width) if layout.styled else shown) + "\n"


def _render_table(table: Table, layout: Layout) -> str:
    console = Console(
        file=io.StringIO(),
        width=layout.width,
        force_terminal=layout.styled,
        markup=False,  # a path may contain [brackets]
        emoji=False,
        highlight=False,
    )
    for column in table.columns:
        column._cells = [visible(cell) if isinstance(cell, str) else cell for cell in column.cells]
    parts = [table]
    if all(column.no_wrap for column in table.columns):
        if layout.styled:
            parts = split_table(table, _widths(console, table), layout.width)
        if parts[0] is table:
            console.width = Measurement.get(console, console.options.update(width=MAX_WIDTH), table).maximum
    for part in parts:
        if not all(column.no_wrap for column in part.columns):
            _keep_figures_whole(console, part)
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    return captured.get()


def _widths(console: Console, table: Table) -> list[int]:
    """Of each column, as wide as it must be."""
    options = console.options.update(width=MAX_WIDTH)
    return [
        max(Measurement.get(console, options, cell).maximum for cell in (column.header, *column.cells))
        for column in table.columns
    ]


def _keep_figures_whole(console: Console, table: Table) -> None:
    """Columns that may not be folded are as wide as they must be, on a narrow terminal too; the others get the rest."""
    needed = 0
    for column, width in zip(table.columns, _widths(console, table), strict=True):
        if column.no_wrap:
            column.min_width = width
        elif column.min_width:
            column.min_width = min(column.min_width, width)
        needed += (column.min_width or MIN_FOLDED) + 1
    console.width = max(console.width, needed)


def render_table(table: Table, layout: Layout) -> str:
    """The table, or a line that there is nothing in it."""
    return render(table, layout=layout) if table.row_count else NOTHING


def parity_cells(parity: Parity | None) -> tuple[str, str, str]:
    """SQNR in dB, largest error in σ and label agreement; labels have the last only."""
    if parity is None:
        return "", "", ""
    agreement = "" if parity.label_agreement is None else f"{parity.label_agreement:.2%}"
    if parity.labels:
        return "", "", agreement
    if not parity.is_finite:
        return "not finite", "", agreement
    sqnr = "equal" if parity.sqnr_db is None else f"{parity.sqnr_db:.1f}"
    return sqnr, f"{parity.relative_error:.1g}", agreement


def sqnr_cell(parity: Parity | None) -> str:
    """The one figure that stands for a parity: SQNR in dB, or the agreement of labels."""
    sqnr, _, agreement = parity_cells(parity)
    return sqnr or agreement


def mebibytes(size_bytes: int, digits: int = 2) -> str:
    """A size in MiB, without the unit."""
    return f"{size_bytes / 2**20:.{digits}f}"


def milliseconds(ns: int | None, digits: int = 2) -> str:
    """A time in ms, without the unit; "" for none."""
    return "" if ns is None else f"{ns / 1e6:.{digits}f}"


def percent_of_interval(interval: Interval | None, middle: int) -> str:
    """Half the width of an interval in percent of what it is of; "" for none."""
    return "" if interval is None or not middle else f"{50 * (interval.high - interval.low) / middle:.1f}"
