"""The command compare: exit codes, words, and files that are not what they should be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from edgedeploy.cli.app import app
from edgedeploy.core.errors import EdgedeployError, NotTrustworthy, Regression, ResultsInvalid
from edgedeploy.core.measurement import Measurement, ResultFile
from edgedeploy.core.storage.json_records import encode
from tests.benchmarks.statistics.traces import quiet, row
from tests.cli.tables.test_paired_and_sustained import PAIR


def result_file(path: Path, *factors: float) -> Path:
    rng = np.random.default_rng(3)
    rows = [row(*(quiet(rng) * factor for _ in range(3)), target=f"t{n}") for n, factor in enumerate(factors)]
    path.write_text(ResultFile.of(rows).to_json())
    return path


def slower(path: Path, factor: float, to: Path) -> Path:
    """The same file with its samples made slower."""
    record = json.loads(path.read_text())
    for measured in record["measurements"]:
        measured["samples_ns"] = [round(ns * factor) for ns in measured["samples_ns"]]
    to.write_text(json.dumps(record))
    return to


def compare(*arguments: object) -> tuple[str, EdgedeployError | None]:
    result = CliRunner().invoke(app, ["compare", *map(str, arguments)])
    error = result.exception
    assert error is None or isinstance(error, EdgedeployError), error
    return result.stdout, error


def test_a_file_with_itself_passes_and_with_slower_samples_fails(tmp_path: Path) -> None:
    base = result_file(tmp_path / "a.json", 1.0, 2.0)
    printed, error = compare(base, base)
    assert error is None
    assert printed.startswith("no regression found: 2 rows, 2 same")
    printed, error = compare(base, slower(base, 1.1, tmp_path / "b.json"))
    assert isinstance(error, Regression)
    assert error.exit_code == 1
    assert [line.split(": ")[0] for line in error.details] == ["net/t0, 1 thread", "net/t1, 1 thread"]
    assert "10.0% slower" in error.details[0]
    assert "of 200 comparisons of equal artifacts 1 has a false alarm" in printed


def test_an_unknown_row_fails_only_where_trust_is_required(tmp_path: Path) -> None:
    base = result_file(tmp_path / "a.json", 1.0)
    head = slower(base, 1.03, tmp_path / "b.json")
    assert compare(base, head)[1] is None
    error = compare(base, head, "--require-trust")[1]
    assert isinstance(error, NotTrustworthy)
    assert error.exit_code == 4


def test_json_has_the_whole_comparison_and_the_margin_is_in_percent(tmp_path: Path) -> None:
    base = result_file(tmp_path / "a.json", 1.0)
    record = json.loads(compare(base, base, "--json", "--margin", "10")[0])
    assert (record["margin"], record["rows"][0]["verdict"]) == (0.1, "same")


DAMAGES = {
    "empty": (lambda text: "", "is empty"),
    "truncated": (lambda text: text[: len(text) // 2], "line 1"),
    "no JSON": (lambda text: "latency: 3 ms\n", "line 1: "),
    "another program's": (lambda text: json.dumps({"context": {}, "benchmarks": []}), "schema_version"),
    "a list": (lambda text: "[1, 2]", "line 1: expected `object`"),
    "a newer version": (lambda text: text.replace('"schema_version": 2', '"schema_version": 99', 1), "install a newer"),
    "a wrong type": (lambda text: text.replace('"threads": 1', '"threads": "one"', 1), "$.measurements[0].threads"),
    "launches missing": (
        lambda text: text.replace('"sample_launches": [', '"sample_launches": [0,', 1),
        "samples_ns and",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_with_the_line_and_the_reason(damage: str, tmp_path: Path) -> None:
    base = result_file(tmp_path / "a.json", 1.0)
    change, reason = DAMAGES[damage]
    head = tmp_path / "b.json"
    head.write_text(change(base.read_text()))
    error = compare(base, head)[1]
    assert isinstance(error, ResultsInvalid)
    assert error.exit_code == 2
    assert str(head) in error.message
    if damage != "truncated":
        assert reason in error.message


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"figures": ()}, "figures has no median"),
        ({"false_alarm_rate": 0.0}, "false_alarm_rate is not between 0 and 1"),
    ],
)
def test_a_damaged_comparison_in_turns_is_named_with_its_line(
    change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "pair.json"
    path.write_text(ResultFile.of([], [replace(PAIR, **change)]).to_json())
    number = 1 + path.read_text().splitlines().index('  "pairs": [') + 1
    result = CliRunner().invoke(app, ["report", str(path)])
    assert isinstance(result.exception, ResultsInvalid)
    assert f"{path}, line {number}: {reason}" in result.exception.message


def test_the_line_is_that_of_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    text = result_file(tmp_path / "a.json", 1.0).read_text()
    lines = text.splitlines()
    number = next(index for index, line in enumerate(lines) if '"size_bytes"' in line)
    lines[number] = '      "size_bytes": oops,'
    path.write_text("\n".join(lines))
    error = compare(path, path)[1]
    assert isinstance(error, ResultsInvalid)
    assert f"line {number + 1}: " in error.message


def test_a_folder_without_results_and_a_file_that_is_not_there_are_errors(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json"):
        assert isinstance(compare(path, path)[1], ResultsInvalid)


def test_records_of_before_the_verdicts_are_read(tmp_path: Path) -> None:
    """Without launches, statistics and verdict, which came later."""
    record = json.loads(result_file(tmp_path / "a.json", 1.0).read_text())
    for key in ("launches", "statistics", "verdict", "input_shapes", "rewrites", "made_with"):
        del record["measurements"][0][key]
    (tmp_path / "old.json").write_text(json.dumps(record))
    assert compare(tmp_path / "old.json", tmp_path / "a.json")[1] is None
    assert Measurement.from_json(encode(record["measurements"][0])).verdict is None


def test_a_figure_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    base = result_file(tmp_path / "base.json", 1.0)
    for field, value in (("size_bytes", 10**400), ("size_bytes", -1), ("load_ns", 2**63)):
        record = json.loads(base.read_text())
        record["measurements"][0][field] = value
        (tmp_path / "bad.json").write_text(json.dumps(record))
        error = compare(base, tmp_path / "bad.json")[1]
        assert "a size or time is negative, or has more than 64 bits" in str(error)
