"""docs/commands.md: generated from the commands, complete, and up to date."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from edgedeploy.cli.app import app
from edgedeploy.cli.reference import command_reference

ROOT = Path(__file__).parent.parent.parent


def all_commands(command: Any, name: str) -> dict[str, Any]:
    found = {name: command}
    for inner in getattr(command, "commands", {}).values():
        found |= all_commands(inner, f"{name} {inner.name}")
    return found


COMMANDS = all_commands(typer.main.get_command(app), "edgedeploy")


def test_the_page_is_what_the_commands_give() -> None:
    assert (ROOT / "docs" / "commands.md").read_text() == command_reference(), "run `make docs`"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_option_has_a_help_text_and_is_on_the_page(name: str) -> None:
    command, page = COMMANDS[name], command_reference()
    section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
    assert len(command.help) > 20
    for parameter in command.params:
        assert len(parameter.help) > 10, parameter.name
        assert parameter.help in section


def test_the_page_does_not_depend_on_the_terminal() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "40", "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "edgedeploy.cli.reference"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, encoding="utf-8")
    assert done.stdout == command_reference()
