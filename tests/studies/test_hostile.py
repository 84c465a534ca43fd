"""The study of hostile tries: what its judge sees, and that it finds nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from edgedeploy.studies.hostile.__main__ import main
from edgedeploy.studies.hostile.commands import Line
from edgedeploy.studies.hostile.judge import Ending, faults, judge
from edgedeploy.studies.hostile.tries import DAMAGES, Try, draw


def test_a_try_is_the_same_for_the_same_number() -> None:
    assert [draw(n).what for n in range(50)] == [draw(n).what for n in range(50)]
    assert len({draw(n).what for n in range(200)}) > 100


def test_every_damage_changes_a_file(tmp_path: Path) -> None:
    for kind, damage in DAMAGES.items():
        path = tmp_path / kind
        path.write_text('{"key": [1, 2]}')
        damage(path, random.Random(0))
        assert not path.is_file() or path.stat().st_size > 2**20 or path.read_text("latin-1") != '{"key": [1, 2]}', kind


def test_a_command_that_ends_well_has_no_fault(tmp_path: Path) -> None:
    for name in ("material", "sandbox"):
        (tmp_path / name).mkdir()
    line = Line(("models",))
    ending, found = judge(Try(line, line.arguments, "nothing"), tmp_path / "material", tmp_path / "sandbox")
    assert (ending.code, found) == (0, [])
    assert "topformer-tiny" in ending.text


@pytest.mark.parametrize(
    ("ending", "fault"),
    [
        (Ending(1, "Traceback (most recent call last):", 1.0), "a traceback"),
        (Ending(70, "", 1.0), "exit code 70: an exception that nothing expected"),
        (Ending(None, "", 31.0), "no progress for 30 s"),
        (Ending(-11, "", 1.0), "it died of signal 11"),
        (Ending(0, "", 1.0), "a model was accepted that is not the one that was exported"),
    ],
)
def test_a_bad_ending_is_a_fault(ending: Ending, fault: str) -> None:
    line = Line(("verify", "art"))
    assert list(faults(Try(line, line.arguments, "", must_fail=True), ending, {}, {})) == [fault]


def test_a_change_of_what_a_command_may_not_touch_is_a_fault() -> None:
    line = Line(("bench", "art", "--json", "new.json"), writes=("new.json",))
    before = {"work/net.py": "1", "work/page.html": "1"}
    after = {"work/net.py": "2", "work/new.json": "1", "cache/x": "1", "tmp/left": "1", "work/imported": "1"}
    assert list(faults(Try(line, line.arguments, ""), Ending(0, "", 1.0), before, after)) == [
        "tmp/left is new",
        "work/imported is new",
        "work/net.py was changed",
        "work/page.html is gone",
        "a module of the user's folder was imported",
    ]


@pytest.mark.slow
def test_two_hundred_tries_find_nothing() -> None:
    assert main(["--tries", "200", "--first", "5000"]) == 0
