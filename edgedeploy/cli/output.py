"""Where results are printed: stdout, as a table for people or as JSON for programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .tables.layout import Layout

T = TypeVar("T")


def stdout_layout() -> Layout:
    """Tables fit a terminal; pipes and files get whole lines."""
    from rich.console import Console

    console = Console()
    return Layout(console.width, styled=True) if console.is_terminal else Layout()


def print_result(result: T, render: Callable[[T, Layout], str], *, as_json: bool) -> None:
    """Prints what a command returned: rendered as text, or its records as JSON."""
    if as_json:
        print_json(result)
    else:
        print(render(result, stdout_layout()), end="")


def print_json(record: object) -> None:
    """Prints a record, or a list of records, as JSON."""
    from edgedeploy.core.storage.json_records import encode

    print(encode(record), end="")
