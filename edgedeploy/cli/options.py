"""Arguments and options that several commands have, and the parsing that typer does not do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgedeploy.core.errors import UsageError

DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        "-d",
        metavar="DEVICE",
        help="local, adb:NAME, ssh:user@host, an alias of edgedeploy.toml, qemu[:CPU], or replay:FILE (bench only).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print records as JSON instead of a table.")]

StoreOption = Annotated[Path, typer.Option("--store", metavar="DIR", help="The folder of the history.")]


def is_stdout(file: Path | None) -> bool:
    """Whether the option's file is `-`, which stands for stdout."""
    return file is not None and str(file) == "-"


def parse_threads(text: str) -> tuple[int, ...]:
    """The numbers in "1,2,4". Raises UsageError."""
    try:
        return tuple(int(part) for part in text[:1000].split(","))
    except ValueError:
        raise UsageError(f"--threads takes whole numbers, not '{text}'", hint="--threads 1,2,4") from None
