"""Fitting text to a terminal: sentences go on in the next line, a wide table in a second one below it.

No figure is cut off or left out: what has no room comes below, beside the names of its rows again. Pipes and files get
whole lines.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.table import Table

GAP = 2  # between two columns
LEAST_NAME = 12  # columns of a terminal that a name is folded to at most


def wrapped(text: str, width: int) -> str:
    """Each line of a text, wrapped between words."""
    return "\n".join(
        "\n".join(
            textwrap.wrap(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) or [line]
        )
        if len(line) > width
        else line
        for line in text.split("\n")
    )


def split_table(table: Table, widths: Sequence[int], width: int) -> list[Table]:
    """The table in parts that fit: each has the leading columns of names, and of the others as many as there is room for.

    `widths`: of each column.
    """
    count = len(table.columns)
    names = next((index for index, column in enumerate(table.columns) if column.justify == "right"), count)
    if sum(widths) + GAP * (count - 1) <= width or names == count:
        return [table]
    room = max(width - sum(widths[:names]) - GAP * names, max(widths[names:]))
    rows: list[list[int]] = [[]]
    used = 0
    for index in range(names, count):
        if not any(table.columns[index].cells):
            continue  # a column without figures takes no room that others need
        if rows[-1] and used + widths[index] + GAP > room:
            rows.append([])
            used = 0
        rows[-1].append(index)
        used += widths[index] + GAP * (len(rows[-1]) > 1)
    return [_part(table, [*range(names), *indices], names) for indices in rows]


def _part(table: Table, indices: Sequence[int], names: int) -> Table:
    """Some columns of a table; those of names may be folded where they are wider than the terminal."""
    part = Table(box=None, pad_edge=False, header_style=table.header_style)
    for index in indices:
        column = table.columns[index]
        part.add_column(column.header, justify=column.justify, no_wrap=index >= names, overflow="fold")
        if index < names:
            part.columns[-1].min_width = LEAST_NAME
    for cells in zip(*(list(table.columns[index].cells) for index in indices), strict=True):
        part.add_row(*cells)
    return part
