from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy.core.errors import UnknownName
from edgedeploy.core.storage.config_file import read_config


def test_a_misspelt_table_is_refused_and_a_foreign_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "edgedeploy.toml"
    file.write_text("[budgetz]\nx = 1\n")
    with pytest.raises(UnknownName, match="Did you mean 'budgets'"):
        read_config(file)
    file.write_text("[tool]\nx = 1\n")
    assert set(read_config(file)) == {"tool"}
