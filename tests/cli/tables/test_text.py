"""From a table to text: widths, brackets, styles."""

from __future__ import annotations

import re

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


def test_on_a_terminal_a_wide_table_goes_on_below_with_its_names_and_a_sentence_in_the_next_line() -> None:
    wide = new_table("model", *(f">figure {number}" for number in range(12)), ">empty")
    for name in ("a-network", "another"):
        wide.add_row(name, *(f"{1234.5 + number}" for number in range(12)), "")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", render(wide, "more " * 40, layout=Layout(width=60, styled=True)))
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 60
    assert sum(line.startswith("a-network") for line in lines) == 3
    assert all(shown.count(f"{1234.5 + number}") == 2 for number in range(12))
    assert "empty" not in shown
    assert shown.count("more") == 40
    assert max(map(len, render(wide).splitlines())) > 60


def test_a_name_wider_than_the_terminal_is_folded_and_its_figures_are_not() -> None:
    shown = render(table("x" * 100), layout=Layout(width=40, styled=True))
    assert shown.count("x") == 100
    assert max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()) <= 40


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
