"""Text from outside is shown, and does nothing to the terminal."""

from __future__ import annotations

from edgedeploy.cli.tables.layout import Layout
from edgedeploy.cli.tables.text import new_table, render
from edgedeploy.core.errors import UsageError, visible


def test_control_characters_and_line_ends_in_cells_and_messages_are_escaped() -> None:
    table = new_table("name", ">size")
    table.add_row("a\x1b[2J\n[bold]b", "1")
    shown = render("title \x1b]0;x\x07", table)
    assert "\x1b" not in shown
    assert "a\\x1b[2J\\n[bold]b" in shown
    assert shown.count("\n") == 3
    assert str(UsageError("no\rfile", details=["\udcff\u202e"], hint="\x9b1m")) == (
        "no\\rfile\n  \\udcff\\u202e\n  try: \\x9b1m"
    )


def test_what_is_visible_stays_as_it_is() -> None:
    assert visible("Größe 3.5 σ, 网络, 🙂") == "Größe 3.5 σ, 网络, 🙂"


def test_no_figure_is_cut_where_a_column_may_be_folded() -> None:
    table = new_table(">figure", "text", ">more")
    from edgedeploy.cli.tables.text import fold

    fold(table, 1)
    table.add_row("1234567.89", "words " * 40, "9876543.21")
    shown = render(table, layout=Layout(width=24))
    assert "1234567.89" in shown
    assert "9876543.21" in shown
    assert "…" not in shown
