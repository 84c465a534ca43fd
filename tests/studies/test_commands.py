"""The studies' commands."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from edgedeploy import studies

FOLDER = Path(studies.__file__).parent
COMMANDS = sorted(
    ".".join(file.relative_to(FOLDER).with_suffix("").parts).removesuffix(".__main__")
    for file in FOLDER.rglob("*.py")
    if "ArgumentParser" in file.read_text() and file.stem != "worker"
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_study_explains_its_options(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [command, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"edgedeploy.studies.{command}", run_name="__main__", alter_sys=True)
    assert ended.value.code == 0
    assert "usage: " in capsys.readouterr().out
