"""How children are started: no file where a user works takes the place of a module."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgedeploy.core.child_processes import (
    child_environment,
    installed_module_command,
    module_command,
    search_path,
)

HARMLESS_NAMES = ("ctypes", "platform", "numpy", "models", "tables", "site", "json")
SHOWS = "edgedeploy.core.versions"


@pytest.fixture
def folder_of_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in HARMLESS_NAMES:
        (tmp_path / f"{name}.py").write_text("import os\nos.close(2); os._exit(77)\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, env=child_environment() | environment)


@pytest.mark.parametrize("search_path", ["", ":", ".", ":/nowhere"])
def test_a_child_imports_nothing_from_the_current_folder(
    search_path: str, folder_of_a_user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", search_path)
    monkeypatch.syspath_prepend(str(folder_of_a_user))
    for command in (
        module_command("edgedeploy.benchmarks.executors.python_worker"), installed_module_command("pip", "--version")
    ):  # fmt: skip
        done = subprocess.run(command, input="{}", capture_output=True, text=True, env=child_environment())
        assert done.returncode != 77
        assert "RecordInvalid" in done.stderr or "pip" in done.stdout, done.stderr


def test_a_child_finds_this_package_and_nothing_inside_it_by_a_bare_name(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("")
    program = (
        "import importlib.util, json, sys, runpy\n"
        "sys.argv = sys.argv[1:]\n"
        "module = runpy.run_path(sys.argv[0])\n"
        "sys.argv[2:] = ['this']\n"
        "module['main']()\n"
        "found = {name: bool(importlib.util.find_spec(name)) for name in ('models', 'tables', 'edgedeploy')}\n"
        "print(json.dumps([found, sys.path]))"
    )
    command = module_command("this")
    done = run([*command[:2], "-c", program, *command[2:]])
    found, path = json.loads(done.stdout.splitlines()[-1])
    assert found == {"models": False, "tables": False, "edgedeploy": True}, path


def test_folders_that_this_process_searches_come_after_the_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "platform.py").write_text("raise RuntimeError\n")
    (tmp_path / "of_the_parent.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir("/")
    assert str(tmp_path) in child_environment()["EDGEDEPLOY_SEARCH_PATH"].split(os.pathsep)
    assert run(module_command(SHOWS)).returncode == 0
    assert Path(module_command(SHOWS)[0]).is_absolute()
    assert sys.executable


def test_the_command_in_an_artifacts_folder_runs_no_file_that_lies_there(folder_of_a_user: Path) -> None:
    root = Path(__file__).parent.parent.parent
    program = f"import sys; sys.path.append({str(root)!r}); from edgedeploy.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, "verify", "."], capture_output=True, text=True, cwd=folder_of_a_user
    )
    assert done.returncode == 2
    assert "is not an artifact" in done.stderr


def test_a_child_does_not_search_inside_a_package_that_put_itself_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "package" / "inside"
    inside.mkdir(parents=True)
    (inside / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path), str(inside)])
    assert str(tmp_path) in search_path()
    assert str(inside) not in search_path()
