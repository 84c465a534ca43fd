"""Makes what is slow to make and several test files read, once per test run: the first worker does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgedeploy.core.storage.cache import locked


def made_once(name: str, factory: pytest.TempPathFactory, make: Callable[[Path], object]) -> Path:
    """The folder that `make` has filled. Other workers wait for it. Tests must not change it."""
    base = factory.getbasetemp()
    folder: Path = (base.parent if "popen-gw" in base.name else base) / name
    with locked(folder):
        if not (folder / "done").exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            (folder / "done").touch()
    return folder
