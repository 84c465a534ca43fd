"""The command report: which rows are in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edgedeploy.cli.app import app
from edgedeploy.core.errors import UnknownName
from edgedeploy.core.measurement import Measurement, ResultFile
from tests.benchmarks.statistics.traces import quiet, row
from tests.cli.tables.test_paired_and_sustained import PAIR


def measured(seed: int, target: str, protocol: str = "latency") -> Measurement:
    return row(quiet(np.random.default_rng(seed)), target=target, protocol=protocol)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """One row, and two that were measured in turns."""
    path = tmp_path / "r.json"
    turns = (measured(1, "old", "interleaved"), measured(2, "new", "interleaved"))
    path.write_text(ResultFile.of([measured(0, "alone"), *turns], [PAIR]).to_json())
    return path


@pytest.mark.parametrize(
    ("text", "targets"), [("alone", {"alone"}), ("net/new", {"old", "new"}), ("net/", {"alone", "old", "new"})]
)
def test_only_some_rows_are_reported_and_of_two_in_turns_both(text: str, targets: set[str], results: Path) -> None:
    command = ["report", str(results), "--only", text, "--format", "bencher"]
    found = json.loads(CliRunner().invoke(app, command).stdout)
    assert {name.split(" ")[0].removeprefix("net/") for name in found} == targets


def test_a_text_that_no_row_has_is_an_error_and_no_report_of_nothing(results: Path) -> None:
    error = CliRunner().invoke(app, ["report", str(results), "--only", "net/alnoe"]).exception
    assert isinstance(error, UnknownName)
    assert error.exit_code == 2
    assert "'net/alone'" in error.message
