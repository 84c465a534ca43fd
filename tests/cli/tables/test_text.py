"""From a table to text: widths, brackets, styles."""

from __future__ import annotations

from edgedeploy.cli.tables.artifacts import VerifiedRow, render_verified
from edgedeploy.cli.tables.devices import render_bundles
from edgedeploy.cli.tables.layout import Layout
from edgedeploy.cli.tables.text import fold, new_table, render
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


def test_in_a_narrow_terminal_nothing_is_cut_off_and_only_a_column_that_may_be_is_folded() -> None:
    narrow = Layout(width=20)
    name, sentence = "x" * 50, "y" * 50
    assert f"{name}       1\n{sentence}\n" in render(table(name), sentence, layout=narrow)
    foldable = table(name)
    fold(foldable, 0)
    folded = render(foldable, layout=narrow)
    assert folded.count("x") == 50
    assert max(len(line) for line in folded.splitlines()) <= 20


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
