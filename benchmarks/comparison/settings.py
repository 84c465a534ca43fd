"""The tables [gates] and [budgets] of edgedeploy.toml, in the current folder or one above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgedeploy.core.errors import UsageError
from edgedeploy.core.storage.config_file import config_paths, read_config
from edgedeploy.core.storage.json_records import RecordInvalid, convert

from .budgets import Budget, parse_budgets
from .gates import Gates


@dataclass(frozen=True)
class Settings:
    """What edgedeploy.toml says about comparisons."""

    gates: Gates = field(default_factory=Gates)
    budgets: Sequence[Budget] = ()


def read_settings(start: Path | None = None) -> Settings:
    """The settings of the nearest edgedeploy.toml that has any. Raises UsageError, UnknownName."""
    for path in config_paths(start):
        if path.is_file():
            table = read_config(path)
            if "gates" in table or "budgets" in table:
                return _settings(path, table)
    return Settings()


def _settings(path: Path, table: Mapping[str, Any]) -> Settings:
    gates = table.get("gates", {})
    known = Gates.__dataclass_fields__
    if not isinstance(gates, dict) or set(gates) - set(known):
        raise UsageError(f"[gates] in {path} has unknown names", hint=f"it takes {', '.join(known)}")
    try:
        budgets = convert(table.get("budgets", {}), dict[str, str | list[str]])
        return Settings(convert(gates, Gates), parse_budgets(budgets, str(path)))
    except RecordInvalid as error:
        raise UsageError(f"{path} cannot be used: {error}") from None
