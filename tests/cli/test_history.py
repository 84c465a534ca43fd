"""The commands of the history: add, list, query, and comparing with a revision of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edgedeploy.cli.app import app
from edgedeploy.core.errors import EdgedeployError, Regression, UnknownName
from edgedeploy.core.measurement import ResultFile
from tests.benchmarks.statistics.traces import quiet, row


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEDEPLOY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def result_file(name: str, seed: int, factor: float = 1.0) -> str:
    rng = np.random.default_rng(seed)
    when = f"2026-01-{1 + seed // 24:02}T{seed % 24:02}:00:00+00:00"
    Path(name).write_text(ResultFile.of([row(*(quiet(rng) * factor for _ in range(3)), started_at=when)]).to_json())
    return name


def run(*arguments: str) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, EdgedeployError), result.exception
    return result.stdout, result.exception


def test_a_slow_creep_is_listed_with_its_revision_and_fails_the_gate() -> None:
    for seed in range(20):
        run("history", "add", result_file("r.json", seed, 1.005**seed), "--revision", f"rev{seed:02}")
    printed, error = run("history", "list", "--gate")
    assert "slower since rev" in printed
    assert isinstance(error, Regression)
    assert "in all" in error.details[0]
    assert run("history", "list", "another")[0] == "nothing to show\n"
    assert json.loads(run("history", "list", "--json")[0])["series"][0]["key"]["model"] == "net"


def test_a_revision_of_the_history_can_be_compared_with() -> None:
    run("history", "add", result_file("a.json", 1), "--revision", "before")
    head = result_file("b.json", 2, 1.2)
    assert isinstance(run("compare", "before", head)[1], Regression)
    assert run("compare", "a.json", "before")[1] is None
    error = run("compare", "befroe", head)[1]
    assert isinstance(error, UnknownName)
    assert "'before'" in error.message


def test_the_revision_is_that_of_git() -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    identity = ["-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert run("history", "add", result_file("a.json", 1))[0].startswith(f"1 measurements of {commit[:12]} added")
    assert (
        json.loads(run("history", "query", "select revision from measurements", "--json")[0])[0]["revision"] == commit
    )
    assert run("compare", "HEAD", "a.json")[1] is None


def test_damaged_results_add_nothing() -> None:
    Path("bad.json").write_text("{")
    assert run("history", "add", result_file("a.json", 1), "bad.json")[1] is not None
    assert not Path("history").exists()
