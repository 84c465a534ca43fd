"""docs/commands.md, made from the commands themselves.

    python -m edgedeploy.cli.reference > docs/commands.md      (or: make docs)

Nothing in it depends on the terminal, the environment or the installed runtimes. A test holds the file against this.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer

from edgedeploy.cli.app import app

HEADING = """# Commands

The commands of `edgedeploy` with all their options, as `edgedeploy COMMAND --help` prints them.

<!-- Written by `make docs` from edgedeploy/cli: edit the help texts there. -->
"""


def command_reference() -> str:
    """The whole page, in Markdown."""
    return "\n".join([HEADING, *_sections(typer.main.get_command(app), "edgedeploy")])


def _sections(command: Any, name: str) -> Iterator[str]:
    """A command's section, and those of its subcommands. Commands are click's, of which typer brings its own copy."""
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    subcommands = getattr(command, "commands", {})
    usage = [name, *map(_usage, arguments), "[OPTIONS]", *(["COMMAND ..."] if subcommands else [])]
    yield f"## {name}\n"
    yield f"    {' '.join(usage)}\n"
    yield f"{inspect.cleandoc(command.help)}\n"
    yield from _list("Arguments", [(f"`{parameter.metavar}`", parameter) for parameter in arguments])
    yield from _list("Options", [(_spelling(parameter), parameter) for parameter in options])
    for subcommand in subcommands.values():
        yield from _sections(subcommand, f"{name} {subcommand.name}")


def _usage(argument: Any) -> str:
    text = f"{argument.metavar}{' ...' if argument.nargs == -1 else ''}"
    return text if argument.required else f"[{text}]"


def _spelling(option: Any) -> str:
    """The option as it is typed: `-d`, `--device DEVICE`."""
    metavar = "" if option.is_flag else f" {option.metavar}"
    return ", ".join(f"`{text}{metavar if text.startswith('--') else ''}`" for text in option.opts)


def _list(title: str, entries: list[tuple[str, Any]]) -> Iterator[str]:
    if not entries:
        return
    yield f"{title}:\n"
    for spelling, parameter in entries:
        yield f"- {spelling}: {parameter.help}{_facts(parameter)}"
    yield ""


def _facts(parameter: Any) -> str:
    """Whether it must be given, else its default, in parentheses."""
    if parameter.required:
        return " (required)"
    if parameter.default is None or getattr(parameter, "is_flag", False) or parameter.default in ("", ()):
        return ""
    return f" (default: {parameter.default})"


if __name__ == "__main__":
    print(command_reference(), end="")
