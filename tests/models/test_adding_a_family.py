"""docs/adding_a_family.md, followed to the letter in a copy of this project: one file, one line, nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "adding_a_family.md"
FOLDERS = ("edgedeploy", "models", "exporters", "benchmarks", "android_harness", "tests")


def block(language: str) -> str:
    """The page's code block of this language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


@pytest.mark.parametrize("language", ["python", "diff"])
def test_the_page_of_networks_quotes_this_page(language: str) -> None:
    overview = (ROOT / "docs" / "models.md").read_text()
    section = overview[overview.index("**A new family**") :]
    (shown, *_) = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert shown in block(language)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project with the page's file and line."""
    copy = tmp_path_factory.mktemp("project")
    for folder in FOLDERS:
        shutil.copytree(
            ROOT / folder, copy / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "build")
        )
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / "models" / "examplenet.py").write_text(block("python"))
    lines = block("diff").splitlines()
    before, (added,) = [line[1:] for line in lines if line[0] == " "], [line[1:] for line in lines if line[0] == "+"]
    zoo = copy / "models" / "zoo.py"
    context = "\n".join(before)
    assert zoo.read_text().count(context) == 1
    zoo.write_text(zoo.read_text().replace(context, "\n".join([before[0], added, *before[1:]])))
    return copy


def run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True, timeout=300
    )


def test_the_new_family_passes_the_tests_that_hold_for_every_network(copy: Path) -> None:
    (chosen,) = re.findall(r'pytest tests/models -k "(.*)"', PAGE.read_text())
    done = run(copy, "-m", "pytest", "tests/models", "-k", chosen, "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 9
    assert "skipped" not in done.stdout


def test_the_new_family_is_listed_and_exported(copy: Path) -> None:
    listed = run(copy, "-m", "edgedeploy", "models", "examplenet", "--json")
    assert [row["name"] for row in json.loads(listed.stdout)] == ["examplenet-tiny", "examplenet-small"]
    command = ["export", "examplenet-tiny", "--target", "onnx-fp32", "--input-size", "64x64", "--json"]
    done = run(copy, "-m", "edgedeploy", *command)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["parity"][0]["relative_error"] < 1e-4
