"""From a table to text: widths, brackets, styles."""

from __future__ import annotations

from edgedeploy.cli.tables.artifacts import VerifiedRow, render_verified
from edgedeploy.cli.tables.devices import render_bundles
from edgedeploy.cli.tables.layout import Layout
from edgedeploy.cli.tables.text import new_table, render
from edgedeploy.core.parity import Parity

PARITY = Parity(0.1, 0.1, 0.012, 34.56, 1.0, 0.5, 10)


def table(*rows: str):
    made = new_table("name", ">figure")
    for row in rows:
        made.add_row(row, "1")
    return made


def test_numbers_are_to_the_right_and_lines_have_no_blanks_at_their_end() -> None:
    assert render(table("a", "abcdef")) == "name    figure\na            1\nabcdef       1\n"


def test_brackets_and_colons_in_a_path_are_kept() -> None:
    assert "models[1]/:smile:" in render(table("models[1]/:smile:"))


def test_a_table_is_cut_off_at_the_width_and_a_sentence_is_not() -> None:
    text = render(table("x" * 50), "y" * 50, layout=Layout(width=20))
    lines = text.splitlines()
    assert [len(line) <= 20 for line in lines] == [True, True, False]


def test_only_a_terminal_gets_escape_codes() -> None:
    assert "\x1b" not in render(table("a"))
    assert "\x1b[1m" in render(table("a"), layout=Layout(width=80, styled=True))


def test_an_empty_listing_is_one_line() -> None:
    assert render_bundles([]) == "nothing to show\n"


def test_verify_shows_every_output_and_the_host_only_where_there_is_one() -> None:
    rows = [VerifiedRow("a", 0, PARITY), VerifiedRow("a", 1, PARITY, PARITY)]
    lines = render_verified(rows).splitlines()
    assert lines[0].endswith("same label  vs host dB")
    assert [line.split() for line in lines[1:]] == [
        ["a", "0", "34.6", "0.01", "50.00%"],
        ["a", "1", "34.6", "0.01", "50.00%", "34.6"],
    ]
    assert "host" not in render_verified(rows[:1])
