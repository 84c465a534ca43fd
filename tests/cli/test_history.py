"""The commands of the history: add, list, query, and comparing with a revision of it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edgedeploy.cli.app import app
from edgedeploy.core.errors import EdgedeployError, Regression, UnknownName, UsageError
from edgedeploy.core.measurement import ResultFile
from edgedeploy.core.results.source import Source
from edgedeploy.pipeline.bench import Rows
from edgedeploy.pipeline.measuring.revisions import source_here
from tests.benchmarks.statistics.traces import quiet, row
from tests.cli.tables.test_paired_and_sustained import PAIR


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


def test_of_two_in_turns_the_head_is_added_and_a_base_of_another_name() -> None:
    rng = np.random.default_rng(1)
    for target, added in (("onnx-fp32", 1), ("onnx-int8", 2)):
        rows = [row(quiet(rng), target=name, protocol="interleaved", artifact=name) for name in (target, "onnx-fp32")]
        Path("pair.json").write_text(ResultFile.of(rows, [replace(PAIR, verdict="same")]).to_json())
        assert run("history", "add", "pair.json", "--store", target)[0].startswith(
            f"{added} measurement{'s' if added > 1 else ''} of"
        )


def git(*arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e"]
    return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def commit(text: str) -> str:
    """A commit of this text in a file; its full name."""
    Path("code.py").write_text(text)
    git("init", "-q")
    git("add", "code.py")
    git("commit", "-q", "-m", text)
    return git("rev-parse", "HEAD")


def benched(name: str, seed: int) -> str:
    """A result file as `bench` writes it here."""
    (row,) = ResultFile.from_json(Path(result_file(name, seed)).read_bytes()).measurements
    Rows(name, None, source_here("local")).add(row)
    return name


def test_a_revision_is_found_by_its_name_before_what_begins_like_it() -> None:
    for number, factor in (("v1", 1.0), ("v10", 1.5), ("w20", 1.0), ("w21", 1.5)):
        run("history", "add", result_file("a.json", 1, factor), "--revision", number)
    head = result_file("a.json", 1)
    assert run("compare", "v1", head)[1] is None
    assert json.loads(run("compare", "v1", head, "--json")[0])["rows"][0]["verdict"] == "same"
    error = run("compare", "w2", head)[1]
    assert isinstance(error, UsageError)
    assert list(error.details) == ["w20", "w21"]


def test_a_name_that_git_knows_too_is_the_one_that_was_given_to_the_history() -> None:
    commit("one")
    git("tag", "v1")
    run("history", "add", result_file("a.json", 1), "--revision", "v1")
    assert run("compare", "v1", "a.json")[1] is None


def revisions() -> list[str]:
    found = json.loads(run("history", "query", "select revision from measurements order by offset", "--json")[0])
    return [row["revision"] for row in found]


def test_the_revision_is_the_one_that_was_measured_and_not_the_one_that_git_has_later() -> None:
    measured = commit("one")
    results = benched("a.json", 1)
    commit("two")
    assert run("history", "add", results)[0].startswith(f"1 measurement of {measured[:12]} added")
    assert revisions() == [measured]
    assert run("compare", "HEAD^", "a.json")[1] is None
    assert isinstance(run("compare", "HEAD", "a.json")[1], UnknownName)


def test_a_dirty_tree_is_marked_and_is_not_taken_for_its_revision() -> None:
    measured = commit("one")
    Path("code.py").write_text("changed")
    Path("new.json").write_text("{}")
    assert run("history", "add", benched("a.json", 1))[0].startswith(f"1 measurement of {measured[:12]}-dirty added")
    error = run("compare", "HEAD", "a.json")[1]
    assert isinstance(error, UnknownName)
    assert error.hint == "it was measured with changes that were not committed: HEAD-dirty"
    assert run("compare", "HEAD-dirty", "a.json")[1] is None
    assert run("compare", f"{measured[:9]}-dirty", "a.json")[1] is None
    git("checkout", "-q", "code.py")
    assert source_here("local") == Source(measured)  # files that git does not know are no change


def test_without_git_or_in_a_replay_there_is_no_revision_and_the_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert source_here("local") is None
    result = CliRunner().invoke(app, ["history", "add", benched("a.json", 1)])
    assert result.stdout.startswith("1 measurement of no revision added")
    assert "name what was measured with --revision" in result.stderr
    commit("one")
    assert source_here("replay:bug.jsonl") is None
    monkeypatch.setenv("PATH", "")
    assert source_here("local") is None


def test_a_file_that_was_added_under_two_revisions_is_found_under_both_and_is_one_point() -> None:
    for name in ("v2", "v3", "v3"):
        run("history", "add", result_file("a.json", 1), "--revision", name)
    assert revisions() == ["v2", "v3"]
    assert run("compare", "v2", "a.json")[1] is None
    assert run("compare", "v3", "a.json")[1] is None
    (series,) = json.loads(run("history", "list", "--json")[0])["series"]
    assert [point["revision"] for point in series["points"]] == ["v2"]


def test_damaged_results_add_nothing() -> None:
    Path("bad.json").write_text("{")
    assert run("history", "add", result_file("a.json", 1), "bad.json")[1] is not None
    assert not Path("history").exists()
