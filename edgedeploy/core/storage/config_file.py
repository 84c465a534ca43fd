"""edgedeploy.toml: the file of a project's settings, in the current folder or one above it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgedeploy.core.errors import UnknownName, UsageError

from .files import read_limited

CONFIG = "edgedeploy.toml"
TABLES = ("devices", "gates", "budgets")


def config_paths(start: Path | None = None) -> Iterator[Path]:
    """Where the file may be, the nearest place first."""
    folder = (start or Path.cwd()).resolve()
    yield from (parent / CONFIG for parent in (folder, *folder.parents))


def read_config(path: Path) -> Mapping[str, Any]:
    """The tables of one such file. Raises UsageError; UnknownName for a misspelt table, which would not hold."""
    try:
        tables = tomllib.loads(read_limited(path).decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read", details=[str(error)]) from None
    for name in set(tables) - set(TABLES):
        unknown = UnknownName(f"table in {path}", name, TABLES, hint=f"it takes {', '.join(TABLES)}")
        if unknown.near:
            raise unknown
    return tables
