"""Networks of a user in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from .user_nets import NET


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose net.py is NET."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "net.py").write_text(NET)
    return folder


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, as the current one."""
    monkeypatch.chdir(folder)
    return folder
