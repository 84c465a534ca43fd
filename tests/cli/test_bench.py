"""The command bench: which rows it prints, and where."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from edgedeploy.cli.commands.bench import bench
from edgedeploy.core.device import ConditionLogEntry
from edgedeploy.core.errors import DeviceLost, UsageError
from edgedeploy.core.measurement import Measurement
from edgedeploy.pipeline import bench as pipeline
from tests.cli.rows import measurement

RESTORED = ConditionLogEntry("fixed performance mode", "restored")


@pytest.fixture
def _lost_after_two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device is lost in the third row; the first two are completed when it is left."""

    def run(*artifacts: object, on_row, **options: object) -> list[Measurement]:
        rows = [measurement(target="onnx-fp32"), measurement(target="onnx-int8")]
        for log in ((), (RESTORED,)):
            for index, row in enumerate(rows):
                on_row(index, replace(row, condition_log=log))
        raise DeviceLost("the phone is gone")

    monkeypatch.setattr(pipeline, "bench", run)


@pytest.mark.usefixtures("_lost_after_two_rows")
def test_the_rows_that_were_measured_before_an_error_are_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DeviceLost):
        bench()
    printed = capsys.readouterr().out
    assert [printed.count(target) for target in ("onnx-fp32", "onnx-int8")] == [1, 1]


@pytest.mark.usefixtures("_lost_after_two_rows")
def test_json_on_stdout_has_the_rows_as_they_were_completed_last(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DeviceLost):
        bench(json_file="-")  # type: ignore[arg-type]
    record = json.loads(capsys.readouterr().out)
    assert record["tool"]["name"] == "edgedeploy"
    logs = [row["condition_log"] for row in record["measurements"]]
    assert logs == [[{"name": "fixed performance mode", "outcome": "restored"}]] * 2


def test_where_nothing_was_measured_no_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="--threads takes whole numbers"):
        bench(threads="two")
    assert capsys.readouterr().out == ""
